"""What was written, and what became of it: the independent record against which a rotation's losses are counted.

A file of JSON lines, each out before anything else is done, so that it outlives the process that writes it. A change has
a line before it is sent: one of which no answer came may have happened. Values are told by digests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

import msgspec

Event = Literal["sent", "acknowledged", "refused"]
"""`refused`: the server said that it has not been done."""


class Write(msgspec.Struct, frozen=True):
    """One line. `number` joins the lines of one write; `at` is Unix time. Of a create the row is known once acknowledged."""

    event: Event
    number: int
    at: float
    op: Literal["create", "update"]
    tenant: str
    row: UUID | None
    digest: str


class WriteLog:
    """Append-only, by one process at a time and from several of its threads."""

    def __init__(self, path: Path) -> None:
        _cut_to_whole_lines(path)
        self._file = path.open("ab", buffering=0)
        self._lock = Lock()
        self._encoder = msgspec.json.Encoder()
        self._number = 0
        self.acknowledged = 0

    def sent(self, op: Literal["create", "update"], tenant: str, row: UUID | None, digest: str) -> Write:
        """Before it is sent."""
        with self._lock:
            self._number += 1
            write = Write("sent", self._number, time.time(), op, tenant, row, digest)
            self._append(write)
        return write

    def answered(self, write: Write, event: Event, row: UUID | None = None) -> None:
        """After the answer. *row*: of a create, which row it made."""
        with self._lock:
            self.acknowledged += event == "acknowledged"
            self._append(msgspec.structs.replace(write, event=event, at=time.time(), row=row or write.row))

    def _append(self, write: Write) -> None:
        self._file.write(self._encoder.encode(write) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Write]:
    """The lines in *path*, none where there is no such file. A last one cut short by a kill is left out."""
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(Write)
    with path.open("rb") as lines:
        # Its end may be written while this reads: the rest of it would come as a line of its own.
        yield from (decoder.decode(line) for line in takewhile(_whole, lines))


def _whole(line: bytes) -> bool:
    return line.endswith(b"\n")


def _cut_to_whole_lines(path: Path) -> None:
    """Whatever a killed writer left half done: what is appended to it would be unreadable too."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
