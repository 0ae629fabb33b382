"""Files damaged on disk: one bit, one half, or the whole of one file below a server's data, chosen by a seed."""

from __future__ import annotations

import fnmatch
import json
import os
import random
import shutil
import stat
from pathlib import Path
from typing import Any, Literal

from replica.errors import ForeignTarget
from replica.faults.model import Fault, server_named, undo_command
from replica.servers import SERVERS
from replica.state import open_place

How = Literal["flip", "truncate", "delete"]

# What the replica itself works with is nobody's data: damaging it would test the replica.
_OURS = frozenset({"secrets", "keys", "certificates", "programs", "logs", "started", "faults", "proxies"})


def corrupt(
    state: Path, target: str, *, how: How = "flip", seed: int = 0, match: str = "*", under: Path | None = None
) -> Fault:
    """Damage one file of *target*'s data, or of the folder *under*, whose path below it fits *match*.

    The same files and seed give the same damage. The original is kept for `heal`. A server may hold the file in
    memory, so that it notices only after a restart. ForeignTarget where the path leads out of the state folder.
    """
    folder = _own_folder(state, under or server_named(target).data(open_place(state, SERVERS)))
    chance = random.Random(seed)  # noqa: S311 -- a reproducible choice, not a secret
    victim = _choose(folder, match, chance)
    record = _keep(state, target, victim)
    did: dict[str, Any] = {"file": str(victim), "how": how, "seed": seed, "size_bytes": victim.stat().st_size}
    if how == "delete":
        victim.unlink()
    elif how == "truncate":
        did["left_bytes"] = victim.stat().st_size // 2
        os.truncate(victim, did["left_bytes"])
    else:
        did |= _flip(victim, chance)
    (record / "fault.json").write_text(json.dumps({"target": target, **did}))
    return Fault("corrupt", target, did, undo_command(state, "heal", target))


def restore(state: Path, target: str) -> list[str]:
    """Put back every file that `corrupt` damaged for *target*, newest damage first: the paths put back."""
    restored: list[str] = []
    for record in sorted((state / "faults").glob("*/fault.json"), key=lambda path: -int(path.parent.name)):
        described = json.loads(record.read_text())
        if described["target"] == target:
            _put_back(record.parent / "original", Path(described["file"]))
            shutil.rmtree(record.parent)
            restored.append(described["file"])
    return restored


def _own_folder(state: Path, folder: Path) -> Path:
    """*folder* with every link followed; ForeignTarget unless it is data below *state*."""
    root = state.resolve()
    resolved = (folder if folder.is_absolute() else state / folder).resolve()
    if not resolved.is_relative_to(root) or resolved == root:
        raise ForeignTarget(f"{folder} is not below the state folder {state}; nothing was touched")
    if (first := resolved.relative_to(root).parts[0]) in _OURS:
        raise ForeignTarget(f"{first} is the replica's own, not a server's data; nothing was touched")
    return resolved


def _choose(folder: Path, match: str, chance: random.Random) -> Path:
    """One of the regular files below *folder*: links are not followed, empty files hold nothing to damage."""
    found: list[Path] = []
    for parent, _, names in os.walk(folder, followlinks=False):
        for path in (Path(parent) / name for name in names):
            fits = fnmatch.fnmatch(str(path.relative_to(folder)), match)
            if fits and stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_size:
                found.append(path)
    if not found:
        raise ForeignTarget(f"no file below {folder} fits {match!r}; nothing was touched")
    return chance.choice(sorted(found))


def _flip(victim: Path, chance: random.Random) -> dict[str, int]:
    offset, bit = chance.randrange(victim.stat().st_size), chance.randrange(8)
    with os.fdopen(os.open(victim, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
        file.seek(offset)
        before = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([before ^ 1 << bit]))
    return {"offset": offset, "bit": bit, "before": before, "after": before ^ 1 << bit}


def _keep(state: Path, target: str, victim: Path) -> Path:
    """A copy of *victim* in a new numbered folder of the journal."""
    journal = state / "faults"
    journal.mkdir(mode=0o700, exist_ok=True)
    record = journal / str(max((int(path.name) for path in journal.iterdir()), default=0) + 1)
    record.mkdir()
    shutil.copy2(victim, record / "original")
    owner = victim.stat()
    os.chown(record / "original", owner.st_uid, owner.st_gid)
    # First what is needed to put it back, then the damage: a crash between the two leaves a harmless restore.
    (record / "fault.json").write_text(json.dumps({"target": target, "file": str(victim)}))
    return record


def _put_back(original: Path, victim: Path) -> None:
    """In place where the file is still there, so that a server which holds it open sees the mended one."""
    if victim.exists():
        with original.open("rb") as source, victim.open("r+b") as file:
            shutil.copyfileobj(source, file)
            file.truncate()
        return
    victim.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(original, victim)
    owner = original.stat()
    os.chown(victim, owner.st_uid, owner.st_gid)
