"""Blobs read whole, once: for the manifest's SHA-256, and for Lucene's own checksum on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from steward.repository.account import LuceneFile
from steward.repository.blob_format import RunningChecksum
from steward.repository.blobs import Blobs
from steward.repository.errors import BlobMissing, BlobRefused, BlobsAway

#: Parts in one sentence.
_MOST_NAMED = 5

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a blob was when it was read."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a blob, or kept it from being read."""

    path: str
    fact: str
    missing: bool = False
    """It was not there: while the repository is written to, it may just have been replaced."""
    away: bool = False
    """The place did not answer for it."""
    unread: bool = False
    """It says nothing about the blob, which could not be read."""


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading one file, or one blob."""

    readings: tuple[Reading, ...] = ()
    fault: Fault | None = None


def read_file(blobs: Blobs, file: LuceneFile) -> Read:
    """Every part of *file*, whose CRC32 runs through all of them."""
    checksum, readings = RunningChecksum(), list[Reading]()
    for part in file.parts:
        read = _read(blobs, part.path, checksum)
        if read.fault:
            return read
        readings += read.readings
    if (checksum.sound, checksum.seen, checksum.bytes) == (True, file.crc32, file.bytes):
        return Read(tuple(readings))
    return Read((), _unsound(file, checksum))


def _unsound(file: LuceneFile, checksum: RunningChecksum) -> Fault:
    fact = (
        f"{checksum.bytes:,} bytes with CRC32 {checksum.seen:08x}, by their own footer {checksum.claimed}; "
        f"expected {file.bytes:,} with {file.crc32:08x}"
    )
    first, *others = (part.path for part in file.parts)
    if others:
        named = ", ".join([*others[:_MOST_NAMED], *["…"] * (len(others) > _MOST_NAMED)])
        fact += f"; which of its {len(file.parts)} parts is wrong cannot be told: it goes on in {named}"
    return Fault(first, fact)


def read_blob(blobs: Blobs, path: str) -> Read:
    """One blob by itself."""
    return _read(blobs, path, None)


def _read(blobs: Blobs, path: str, checksum: RunningChecksum | None) -> Read:
    digest, size = hashlib.sha256(), 0
    try:
        for piece in blobs.chunks(path):
            digest.update(piece)
            size += len(piece)
            if checksum:
                checksum.update(piece)
    except BlobMissing:
        return Read((), Fault(path, "it is missing", missing=True))
    except BlobRefused as refused:
        return Read((), Fault(path, refused.message, unread=True))
    except BlobsAway as away:
        return Read((), Fault(path, away.message, away=True, unread=True))
    return Read((Reading(path, size, digest.hexdigest()),))


def in_threads(act: Callable[[Given], Made], given: Iterable[Given], threads: int) -> Iterator[Made]:
    """What *act* makes of each, as it is done. Whatever the number, few are begun before others are taken away.

    Hashes and checksums let other threads run meanwhile. What *act* raises ends it all.
    """
    each = iter(given)
    with ThreadPoolExecutor(threads) as pool:
        begun: set[Future[Made]] = {pool.submit(act, one) for one in islice(each, 2 * threads)}
        try:
            while begun:
                done, begun = wait(begun, return_when=FIRST_COMPLETED)
                begun |= {pool.submit(act, one) for one in islice(each, len(done))}
                # What was made is given out before what was raised ends it.
                for one in sorted(done, key=lambda one: one.exception() is not None):
                    yield one.result()
        finally:
            for one in begun:
                one.cancel()
