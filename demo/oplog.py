"""What the tenants did and what the cluster answered: the independent record against which proofs are checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Literal, Self

import msgspec

Outcome = Literal["acknowledged", "refused", "unknown"]
"""`unknown`: no answer came, so the operation may or may not have happened."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One write. `sent` and `answered` are Unix times in seconds; the operation happened between them."""

    tenant: str
    op: str
    id: str
    outcome: Outcome
    sent: float
    answered: float
    routing: str | None = None
    index: str | None = None
    seq_no: int | None = None
    primary_term: int | None = None
    version: int | None = None
    error: str | None = None


class OperationLog:
    """Append-only; in memory, and in a file of JSON lines if one is named, each request's entries written at once."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries: list[Entry] = []
        self._lock = Lock()
        self._file = path.open("ab") if path else None

    def append(self, entries: Iterable[Entry]) -> None:
        found = list(entries)
        with self._lock:
            self._entries += found
            if self._file:
                self._file.write(msgspec.json.Encoder().encode_lines(found))
                self._file.flush()

    def entries(self) -> list[Entry]:
        """A copy, in the order of the answers."""
        with self._lock:
            return list(self._entries)

    def acknowledged(self) -> list[Entry]:
        """Only what the cluster said it has done."""
        return [entry for entry in self.entries() if entry.outcome == "acknowledged"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self._file.close()


def read(path: Path) -> Iterator[Entry]:
    """The entries in *path*. A last line cut short by a kill is left out: its request was not recorded as answered."""
    decoder = msgspec.json.Decoder(Entry)
    with path.open("rb") as lines:
        # Its end may be written while this reads: the rest of it would come as a line of its own.
        yield from (decoder.decode(line) for line in takewhile(_whole, lines))


def _whole(line: bytes) -> bool:
    return line.endswith(b"\n")
