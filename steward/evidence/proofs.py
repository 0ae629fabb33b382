"""One statement's place in the log, for whoever has nothing else: https://c2sp.org/tlog-proof, checked offline.

The file's `extra` line holds the envelope itself, so that one file is all that a third party needs beside the two
public keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from steward.evidence.checkpoints import Signed, open_checkpoint
from steward.evidence.errors import LogRefused, UnusableProof
from steward.evidence.merkle import leaf_hash, verify_inclusion
from steward.evidence.notes import NoteKey, strict_base64, to_base64

FIRST_LINE = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile("index (0|[1-9][0-9]{0,18})")
_EXTRA = "extra "


@dataclass(frozen=True)
class Proof:
    """Entry *index* is *envelope*, and *path* leads from it to the root in *checkpoint*. Nothing of it verified yet."""

    envelope: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def written(self) -> bytes:
        """As a file."""
        lines = (FIRST_LINE, f"{_EXTRA}{to_base64(self.envelope)}", f"index {self.index}", *map(to_base64, self.path))
        return ("\n".join(lines) + "\n\n" + self.checkpoint).encode()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The proof in *data*. UnusableProof where it is none, or one without its statement."""
        try:
            head, blank, checkpoint = data.decode().partition("\n\n")
            lines = head.split("\n")
            if not blank:
                lines = []
            return cls(*_parts(lines), checkpoint)
        except ValueError as error:
            raise UnusableProof(
                f"no proof of inclusion: {error}", hint="give a file that `export --proof` wrote"
            ) from None


@dataclass(frozen=True)
class Included:
    """An entry that is in the log which *signed* is a checkpoint of."""

    index: int
    signed: Signed

    def lines(self) -> list[str]:
        """For an auditor to read, below what the statement says."""
        checkpoint = self.signed.checkpoint
        return [
            f"in the log: entry {self.index} of {checkpoint.origin}, checkpoint of {checkpoint.size} entries",
            f"log's key: id {self.signed.key.fingerprint}",
            "proved:     it stands in the log, at this place, among exactly as many others as the checkpoint says",
            "not proved: that others were shown the same log: compare this checkpoint with one that they have",
        ]

    def values(self) -> dict[str, object]:
        """The same for machines."""
        checkpoint = self.signed.checkpoint
        return {
            "origin": checkpoint.origin,
            "index": self.index,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "key_id": self.signed.key.fingerprint,
        }


def verify_proof(proof: Proof, keys: Iterable[NoteKey]) -> Included:
    """That *proof* holds. NoteRefused where none of *keys* signed its checkpoint, LogRefused where it leads elsewhere."""
    signed = open_checkpoint(proof.checkpoint, keys)
    told = signed.checkpoint
    if not verify_inclusion(leaf_hash(proof.envelope), proof.index, told.size, proof.path, told.root):
        raise LogRefused(
            f"the statement is not entry {proof.index} of the log of {told.size} entries that was signed",
            hint="the statement, its place or the path was changed; ask for the file again",
        )
    return Included(proof.index, signed)


def _parts(lines: Sequence[str]) -> tuple[bytes, int, tuple[bytes, ...]]:
    least = 3
    if len(lines) < least or lines[0] != FIRST_LINE or not lines[1].startswith(_EXTRA):
        raise ValueError(f"expected lines {FIRST_LINE}, extra with the statement, and index")
    index = _INDEX.fullmatch(lines[2])
    if index is None:
        raise ValueError("its index cannot be read")
    return strict_base64(lines[1].removeprefix(_EXTRA)), int(index[1]), tuple(map(strict_base64, lines[least:]))
