"""How fast a night's blobs are checked: a repository of large files, each read whole for SHA-256 and Lucene's CRC32.

    python -m bench.blob_check [--gib 2] [--rounds 3] [--blobs 100000]

What is read is what the kernel has in memory: the figure is what the check itself can do, and a slower disk bounds it.
Progress goes to standard error; the last line of standard output is JSON:

    blob_check_gib_per_second        read and checked a second, by as many readers as a night has; goal: at least 1
    blob_check_single_gib_per_second the same by one reader
    blob_check_gib_per_cpu_second    of one processor's time, which other work beside it does not change
    read_only_gib_per_second         the same files read by as many readers, and nothing computed
    due_plan_seconds                 what of so many blobs is read again tonight, decided
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.goals import tell
from bench.ground import progress
from steward.clients.blobs_fs import FolderBlobs
from steward.errors import StewardError
from steward.repository.account import Kind, LuceneFile, Needed
from steward.repository.due import Known, plan_reading
from steward.repository.hashing import Read, in_threads, read_file
from steward.snapshots.blob_check import READERS

GIB = 1 << 30
#: As Elasticsearch's segments are: some large, more that are small.
FILE_BYTES = (256 << 20, 64 << 20, 64 << 20, 16 << 20, 16 << 20, 4 << 20, 1 << 20)
LEAST_GIB_PER_SECOND = 1.0
TONIGHT = date(2026, 5, 31)


class NotChecked(StewardError):
    """A file that is right was found to be wrong, so a time would be of something else."""


@dataclass(frozen=True)
class Laid:
    """Files with Lucene's footer, in a folder."""

    folder: Path
    files: list[LuceneFile]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def blob_check_speed(at_least_gib: float = 2.0, rounds: int = 3) -> dict[str, float]:
    """Figures of reading, in GiB a second. What is read lies in a temporary folder of its own meanwhile."""
    with _laid(at_least_gib) as laid:
        blobs = FolderBlobs(laid.folder)
        contenders: dict[str, Callable[[], None]] = {
            "blob_check_gib_per_second": lambda: _check(blobs, laid, READERS),
            "blob_check_single_gib_per_second": lambda: _check(blobs, laid, 1),
            "read_only_gib_per_second": lambda: _drain(blobs, laid),
        }
        figures = {name: laid.bytes / GIB / seconds for name, seconds in _times(contenders, rounds).items()}
        began = time.process_time()
        _check(blobs, laid, READERS)
        figures["blob_check_gib_per_cpu_second"] = laid.bytes / GIB / (time.process_time() - began)
        return {name: round(figure, 2) for name, figure in figures.items()}


def _times(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median seconds of each, in turns; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if number:
                times[name].append(time.perf_counter() - began)
        progress(f"round {number} of {rounds}")
    return {name: statistics.median(each) for name, each in times.items()}


def _check(blobs: FolderBlobs, laid: Laid, readers: int) -> None:
    for read in in_threads(partial(read_file, blobs), laid.files, readers):
        _demand(read)


def _demand(read: Read) -> None:
    if read.fault:
        raise NotChecked(f"{read.fault.path}: {read.fault.fact}", hint="is the disk sound?")


def _drain(blobs: FolderBlobs, laid: Laid) -> None:
    paths = (part.path for file in laid.files for part in file.parts)
    for _ in in_threads(lambda path: sum(map(len, blobs.chunks(path))), paths, READERS):
        pass


@contextmanager
def _laid(at_least_gib: float) -> Generator[Laid]:
    with tempfile.TemporaryDirectory(prefix="steward-bench-blobs-") as folder:
        files = list(_files(Path(folder), at_least_gib))
        progress(f"{sum(file.bytes for file in files) / GIB:.1f} GiB in {len(files)} files")
        yield Laid(Path(folder), files)


def _files(folder: Path, at_least_gib: float) -> Iterator[LuceneFile]:
    """Largest first, as a night reads them."""
    sizes = list[int]()
    while sum(sizes) < at_least_gib * GIB:
        sizes += FILE_BYTES
    for number, size in enumerate(sorted(sizes, reverse=True)):
        yield _file(folder, f"__{number}", size)


def _file(folder: Path, name: str, size: int) -> LuceneFile:
    piece, crc = os.urandom(1 << 20), 0
    with (folder / name).open("wb") as file:
        for part in _cut(piece, size):
            file.write(part)
            crc = zlib.crc32(part, crc)
        footer = bytes.fromhex("c02893e8") + bytes(4)
        crc = zlib.crc32(footer, crc)
        file.write(footer + crc.to_bytes(8, "big"))
    return LuceneFile((Needed(name, Kind.DATA, size + 16),), name, size + 16, crc)


def _cut(piece: bytes, size: int) -> Iterable[bytes]:
    for start in range(0, size, len(piece)):
        yield piece[: min(len(piece), size - start)]


def due_plan_seconds(blobs: int) -> float:
    """Seconds to decide what of *blobs* is read again tonight."""
    known = [
        Known(f"indices/a/0/__{n}", n % 5_000_000, "0" * 64, TONIGHT - timedelta(days=1 + n % 29), TONIGHT)
        for n in range(blobs)
    ]
    began = time.perf_counter()
    plan_reading(known, TONIGHT, 30)
    return round(time.perf_counter() - began, 2)


def main(arguments: list[str]) -> int:
    """Exit code 1 where the goal is missed, or a figure could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.blob_check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gib", type=float, default=2.0, help="to be read a round (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median")
    parser.add_argument("--blobs", type=int, default=100_000, help="of which to decide what is read again")
    options = parser.parse_args(arguments)
    try:
        figures: dict[str, Any] = {**blob_check_speed(options.gib, options.rounds)}
    except StewardError as error:
        print(error, file=sys.stderr)
        return 1
    figures["due_plan_seconds"] = due_plan_seconds(options.blobs)
    return tell(figures, {}, {"blob_check_gib_per_second": LEAST_GIB_PER_SECOND})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
