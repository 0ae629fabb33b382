"""A whole log in a folder, for an auditor who has neither database nor object store.

checkpoint                      the newest signed checkpoint
checkpoints/SIZE                every one that was kept
leaves                          the hash of each entry, in hex, one a line
statements/INDEX.tlog-proof     each entry with its proof of inclusion in `checkpoint`
anchors/checkpoints/SIZE        what lies under Object Lock, as it was read from there
anchors/leaves/FROM-TO
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steward.evidence.checkpoints import Checkpoint
from steward.evidence.errors import UnusableNote, UnusableProof
from steward.evidence.leaves import Anchored
from steward.evidence.log_copies import EntryFacts, LogCopy, inspect
from steward.evidence.merkle import leaf_hash, verify_inclusion
from steward.evidence.notes import read_note
from steward.evidence.proofs import Proof

if TYPE_CHECKING:
    from steward.evidence.signers import Key

CHECKPOINT, CHECKPOINTS, LEAVES, STATEMENTS, ANCHORS = "checkpoint", "checkpoints", "leaves", "statements", "anchors"
SUFFIX = ".tlog-proof"


def read_bundle(folder: Path, keys: Sequence[Key], *, with_anchors: bool = True) -> LogCopy:
    """The log in *folder*, its statements checked with *keys*. UnusableProof where it is no export."""
    try:
        return _read(folder, keys, with_anchors=with_anchors)
    except OSError as error:
        raise UnusableProof(
            f"{folder} is no export of a log: {error.filename}: {error.strerror}",
            hint="give a folder of `export --log`",
        ) from None
    except (ValueError, UnusableNote) as error:
        told = error.message if isinstance(error, UnusableNote) else str(error)
        raise UnusableProof(f"{folder} is no export of a log: {told}", hint="give a folder of `export --log`") from None


def _read(folder: Path, keys: Sequence[Key], *, with_anchors: bool) -> LogCopy:
    note = (folder / CHECKPOINT).read_bytes()
    leaves = dict(enumerate(map(bytes.fromhex, (folder / LEAVES).read_text().split())))
    return LogCopy(
        source=f"the export in {folder}",
        origin=Checkpoint.parse(read_note(note).text).origin,
        entries=list(_entries(folder / STATEMENTS, note, leaves, keys)),
        checkpoints={CHECKPOINT: note, **_files(folder / CHECKPOINTS, f"{CHECKPOINTS}/")},
        leaves=leaves,
        anchored=_anchored(folder / ANCHORS) if with_anchors else None,
        statements_checked=bool(keys),
    )


def _entries(folder: Path, note: bytes, leaves: dict[int, bytes], keys: Sequence[Key]) -> Iterator[EntryFacts]:
    found = {int(file.name.removesuffix(SUFFIX)): file for file in folder.iterdir() if file.name.endswith(SUFFIX)}
    for index in range(max([*found, len(leaves) - 1], default=-1) + 1):
        yield _entry(index, found[index], note, leaves, keys) if index in found else EntryFacts(index, None)


def _entry(index: int, file: Path, note: bytes, leaves: dict[int, bytes], keys: Sequence[Key]) -> EntryFacts:
    try:
        proof = Proof.read(file.read_bytes())
    except UnusableProof as error:
        return EntryFacts(index, None, faults=(f"{file.name}: {error.message}",))
    facts = inspect(index, proof.envelope, keys)
    # Where the entry itself was changed, that is the finding; a path that does not fit is one only where it was not.
    fitting = facts.leaf != leaves.get(index) or _holds(proof, index, note)
    fault = () if fitting else (f"{file.name}: its proof does not lead to the checkpoint of this export",)
    return EntryFacts(index, facts.leaf, facts.about, (*facts.faults, *fault), facts.unknown_key)


def _holds(proof: Proof, index: int, note: bytes) -> bool:
    told = Checkpoint.parse(read_note(note).text)
    same = proof.index == index and proof.checkpoint.encode() == note
    return same and verify_inclusion(leaf_hash(proof.envelope), index, told.size, proof.path, told.root)


def _anchored(folder: Path) -> Anchored | None:
    if not folder.is_dir():
        return None
    parts = ("checkpoints", "leaves")
    return Anchored(*(_files(folder / part, f"{part}/") for part in parts))


def _files(folder: Path, prefix: str) -> dict[str, bytes]:
    return {f"{prefix}{file.name}": file.read_bytes() for file in sorted(folder.iterdir())} if folder.is_dir() else {}
