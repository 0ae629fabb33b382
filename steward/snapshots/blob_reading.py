"""Blobs read tonight: compared with what they were, counted, and noted in batches, so that a killed step goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from steward.repository.account import LuceneFile
from steward.repository.blobs import Blobs
from steward.repository.comparing import compare_reading, is_immutable
from steward.repository.due import Known
from steward.repository.errors import BlobsAway
from steward.repository.hashing import Fault, Read, Reading, in_threads, read_blob, read_file

#: What a killed step read is not read again, but for what it read in this time.
NOTE_SECONDS = 5.0
#: Of blobs for which the place did not answer; beyond it the place itself is away, and a later try may find it.
MOST_AWAY = 10

Note = Callable[[list[Reading], list[str]], None]
"""Called with what nobody knew yet, and with the paths of what is as it was."""


@dataclass
class Reader:
    """What is read, and what comes of it."""

    blobs: Blobs
    known: Mapping[str, Known]
    noted: Mapping[str, Reading]
    """What was read already, by tries that were interrupted, and no VERIFIED night knows."""
    on_record: Note
    touch: Callable[[], None]
    readers: int
    bytes: int = 0
    read: dict[str, Reading] = field(default_factory=dict[str, Reading])
    """What no VERIFIED night knows, by path; what was noted among it."""
    again: set[str] = field(default_factory=set[str])
    """Known blobs that were read and are as they were."""
    faults: list[Fault] = field(default_factory=list[Fault])
    _new: list[Reading] = field(default_factory=list[Reading])
    _confirmed: list[str] = field(default_factory=list[str])
    _noted_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.read.update(self.noted)

    def take(self, read: Read) -> None:
        """What came of reading one file, blob, or piece of metadata. BlobsAway: one too many did not answer."""
        self.touch()
        if read.fault:
            self.faults.append(read.fault)
            if read.fault.away and sum(fault.away for fault in self.faults) > MOST_AWAY:
                raise BlobsAway(read.fault.fact, hint="is the repository mounted, and its server up?")
        for reading in read.readings:
            self._compare(reading)
        if time.monotonic() - self._noted_at > NOTE_SECONDS:
            self.note()

    def _compare(self, reading: Reading) -> None:
        self.bytes += reading.bytes
        was = self.known.get(reading.path) or self.noted.get(reading.path)
        if is_immutable(reading.path) and (fault := compare_reading(reading, was)):
            self.faults.append(fault)
        elif reading.path in self.known:
            self.again.add(reading.path)
            self._confirmed.append(reading.path)
        else:
            self.read[reading.path] = reading
            if is_immutable(reading.path) and was is None:
                self._new.append(reading)

    def take_files(self, files: Iterable[LuceneFile]) -> None:
        """Read files whole, with the checksum that each ends with."""
        # The largest first, so that no reader is left with one while the others have nothing to do.
        queue = sorted(files, key=lambda file: -file.bytes)
        for read in in_threads(partial(read_file, self.blobs), queue, self.readers):
            self.take(read)

    def take_blobs(self, paths: Iterable[str]) -> None:
        """Read blobs by themselves."""
        for read in in_threads(partial(read_blob, self.blobs), paths, self.readers):
            self.take(read)

    def note(self) -> None:
        """Put on record what was read since the last time."""
        if self._new or self._confirmed:
            self.on_record(self._new, self._confirmed)
        self._new, self._confirmed, self._noted_at = [], [], time.monotonic()
