"""One node's `roles.yml`, of which only our own entries are ever rewritten.

The rest stays byte for byte, comments included: other hands keep roles in the same file.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from steward.search.errors import RolesFileUnreadable
from steward.search.roles import Role, role_entry

# libyaml's where it is built in: seven times as fast, and a thousand tenants' roles are 190 kB.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_ENTRY = re.compile(r"""(["']?)(?P<name>[^\s"'#:{][^"':]*)\1\s*:""")


@dataclass(frozen=True)
class RolesFile:
    """The file at *path*; one that is missing holds no roles."""

    path: Path

    def read(self) -> dict[str, Any]:
        """Role's name → descriptor as written. Raises RolesFileUnreadable."""
        return _parse(self.path, self._text())

    def put(self, roles: Mapping[str, Role]) -> None:
        """Make each of *roles* be as given; write nothing where they are."""
        with _locked(self.path.parent):
            before = self._text()
            held = _parse(self.path, before)
            changed = {name: role for name, role in roles.items() if held.get(name) != role.body()}
            if changed:
                after = with_entries(before, {name: role_entry(name, role) for name, role in changed.items()})
                self._keeps(after, held | {name: role.body() for name, role in changed.items()})
                self._replace(after)

    def _text(self) -> str:
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise RolesFileUnreadable(f"cannot read {self.path}: {error}", hint="check its owner and mode") from None

    def _keeps(self, after: str, expected: dict[str, Any]) -> None:
        # An entry in a form that is not told apart here (an anchor, a flow mapping) must not be damaged.
        if _parse(self.path, after) != expected:
            raise RolesFileUnreadable(
                f"{self.path} cannot be changed without changing roles of others; nothing was written",
                hint="write each role as a top-level entry of its own, indented below its name",
            )

    def _replace(self, text: str) -> None:
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with beside.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _like(self.path, beside)
            # In one step, so that a node which reads the file meanwhile sees the old roles or the new, never half.
            beside.replace(self.path)
        except OSError as error:
            raise RolesFileUnreadable(f"cannot write {self.path}: {error}", hint="check its folder's owner") from None
        finally:
            beside.unlink(missing_ok=True)


def with_entries(text: str, entries: Mapping[str, str]) -> str:
    """*text* with each entry in the place of the one of that name, or at the end."""
    parts = list(_parts(text))
    present = {name for name, _ in parts}
    kept = "".join(entries.get(name, part) for name, part in parts)
    added = "".join(f"\n{entry}" for name, entry in entries.items() if name not in present)
    return (kept if not kept or kept.endswith("\n") else f"{kept}\n") + added


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each entry; what stands between entries has the name ''."""
    name, part = "", ""
    for line in text.splitlines(keepends=True):
        entry = _ENTRY.match(line)
        if entry or line.startswith("#") or (name and not line.strip()):
            yield name, part
            name, part = entry["name"].strip() if entry else "", ""
        part += line
    yield name, part


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        roles = yaml.load(text, Loader=_LOADER) or {}  # noqa: S506  both are safe loaders
    except yaml.YAMLError as error:
        # The mark only: the problem's own text may quote the file.
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise RolesFileUnreadable(f"{path} is not YAML, see line {line}", hint="mend it by hand first") from None
    if not isinstance(roles, dict):
        raise RolesFileUnreadable(f"{path} holds no mapping of role names", hint="mend it by hand first")
    return cast("dict[str, Any]", roles)


def _like(model: Path, path: Path) -> None:
    """Owner and mode as the node needs them to read it."""
    if model.exists():
        shutil.copymode(model, path)
        status = model.stat()
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, status.st_uid, status.st_gid)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """One writer at a time: two tenants onboarded at once must both end up in the file.

    The lock is the folder's own, so that no lock file stays behind, and it ends with the process that holds it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RolesFileUnreadable(f"cannot open {folder}: {error.strerror}", hint="check role_files") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
