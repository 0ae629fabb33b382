"""Checkpoints as in https://c2sp.org/tlog-checkpoint: origin, number of entries, root; signed as a note.

A log signs no two checkpoints of which neither begins the other: whoever kept one can tell whether the log he is shown
later is the same one, grown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from steward.evidence.errors import NoteRefused, UnusableNote
from steward.evidence.merkle import EMPTY_ROOT
from steward.evidence.notes import NoteKey, is_key_name, read_note, strict_base64, to_base64, verify_note

_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_LINES = 3


@dataclass(frozen=True)
class Checkpoint:
    """The first *size* entries of the log *origin* have the Merkle root *root*."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed: three lines."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint that *text* is. Extension lines are refused: no log of ours writes them."""
        lines = text.split("\n")
        if len(lines) != _LINES + 1 or lines[-1]:
            raise UnusableNote("no checkpoint: expected three lines of text", hint=_HINT)
        origin, size, root = lines[:_LINES]
        if not is_key_name(origin) or not _SIZE.fullmatch(size):
            raise UnusableNote("no checkpoint: its origin or its number of entries cannot be read", hint=_HINT)
        return cls(origin, int(size), _root(root))


@dataclass(frozen=True)
class Signed:
    """A checkpoint, the note that it was read from, and the known key that signed it."""

    checkpoint: Checkpoint
    note: str
    key: NoteKey


def open_checkpoint(note: bytes | str, keys: Iterable[NoteKey], *, origin: str | None = None) -> Signed:
    """The checkpoint in *note*, signed by one of *keys* under its origin's name.

    UnusableNote where it is none; NoteRefused where no key signed it, or where it is of another log than *origin*.
    """
    data = note.encode() if isinstance(note, str) else note
    read = read_note(data)
    checkpoint = Checkpoint.parse(read.text)
    if origin is not None and checkpoint.origin != origin:
        raise NoteRefused(
            f"the checkpoint is of log {checkpoint.origin}, expected {origin}", hint="compare where each came from"
        )
    return Signed(checkpoint, data.decode(), verify_note(read, checkpoint.origin, keys))


def _root(text: str) -> bytes:
    try:
        root = strict_base64(text)
    except ValueError:
        root = b""
    if len(root) != len(EMPTY_ROOT):
        raise UnusableNote("no checkpoint: its root is not the base64 of 32 bytes", hint=_HINT)
    return root


_HINT = "see docs/evidence.md for what a checkpoint looks like"
