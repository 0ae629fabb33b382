"""How fast a snapshot is copied off site, beside a plain upload of the same bytes by the same number of threads.

    python -m bench.offsite [--mib 80] [--rounds 3]

Each round copies the same new bytes under another name: by the night's own copy, which reads each blob's SHA-256 on the
way, lets the store compare it, locks the version and reads its lock back; and by boto3's upload_file, which does none of it.
Progress goes to standard error; the last line of standard output is JSON:

    offsite_mb_per_second         copied a second, 10^6 bytes, median
    offsite_plain_mb_per_second   uploaded a second by boto3, median
    offsite_plain_ratio           the first as a share of the second
    offsite_renewed_per_second    locks of older nights' blobs made longer, and read back
    offsite_kept_per_second       blobs of older nights found in place, with their lock
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.goals import conclude
from bench.ground import progress
from steward.clients.blobs_fs import FolderBlobs
from steward.clients.offsite_bucket import OffsiteBucket, open_offsite_bucket
from steward.clients.offsite_copying import THREADS, copy_blobs
from steward.clients.offsite_terms import CopyOutcome, CopyTerms
from steward.errors import StewardError
from steward.repository.copying import SLACK_DAYS, Copied, LockMode
from steward.repository.manifest import Entry, Manifest
from steward.settings import Settings

MB = 1_000_000
#: As a night's new blobs are: few large ones with most of the bytes, and many small ones.
SIZES = (*[32 << 20] * 2, *[4 << 20] * 4, *[256 << 10] * 32, *[16 << 10] * 128)
LOCK_DAYS = 1
SERVERS = ("s3",)


class NotCopied(StewardError):
    """The copy was not made, so a time would be of something else."""


@dataclass
class Laid:
    """A repository of one snapshot, in a folder, and how it is copied."""

    folder: Path
    manifest: Manifest
    bucket: OffsiteBucket
    client: Any
    bucket_name: str
    known: dict[str, Copied] = field(default_factory=dict[str, Copied])

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.manifest.entries)

    def copy(self, root: str, today: date) -> CopyOutcome:
        """The night's own copy."""
        terms = CopyTerms(root, today, LOCK_DAYS, LockMode.GOVERNANCE)
        blobs = FolderBlobs(self.folder)
        outcome = copy_blobs(blobs, self.bucket, self.manifest, self.known, terms, tell=self.known.update)
        if outcome.findings or outcome.manifest is None:
            raise NotCopied(f"the copy is not whole: {outcome.findings[:1]}", hint="see the store's log")
        return outcome

    def upload(self, root: str) -> None:
        """What a plain script does."""

        def one(entry: Entry) -> None:
            self.client.upload_file(str(self.folder / entry.path), self.bucket_name, f"{root}/{entry.path}")

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, self.manifest.entries))


def offsite_speed(settings: Settings, mib: float = 80.0, rounds: int = 3) -> dict[str, float]:
    """Figures by name, on the bucket that *settings* name; what is uploaded stays there, locked for some days."""
    copied, plain = list[float](), list[float]()
    today = datetime.now(UTC).date()
    with _laid(settings, mib) as laid:
        for number in range(rounds + 1):
            laid.known.clear()
            seconds = [
                _seconds(lambda: laid.copy(f"bench/{uuid4().hex}", today)),
                _seconds(lambda: laid.upload(f"bench-plain/{uuid4().hex}")),
            ]
            # The first opens connections and makes the store's volumes.
            if number:
                copied.append(seconds[0])
                plain.append(seconds[1])
            progress(f"off-site copy: round {number} of {rounds}")
        return _figures(laid, copied, plain) | _older(laid, today)


def _figures(laid: Laid, copied: list[float], plain: list[float]) -> dict[str, float]:
    speeds = [laid.bytes / MB / statistics.median(times) for times in (copied, plain)]
    return {
        "offsite_mb_per_second": round(speeds[0], 1),
        "offsite_plain_mb_per_second": round(speeds[1], 1),
        "offsite_plain_ratio": round(speeds[0] / speeds[1], 2),
    }


def _older(laid: Laid, today: date) -> dict[str, float]:
    """Nights that find all of it copied."""
    root, blobs = f"bench/{uuid4().hex}", len(laid.manifest.entries)
    laid.known.clear()
    laid.copy(root, today)
    kept = _seconds(lambda: laid.copy(root, today))
    renewed = _seconds(lambda: laid.copy(root, today + timedelta(days=SLACK_DAYS + 1)))
    return {
        "offsite_renewed_per_second": round(blobs / renewed),
        "offsite_kept_per_second": round(blobs / kept),
    }


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


@contextmanager
def _laid(settings: Settings, mib: float) -> Generator[Laid]:
    place = settings.snapshots.offsite if settings.snapshots else None
    with tempfile.TemporaryDirectory(prefix="steward-bench-offsite-") as name, open_offsite_bucket(settings) as bucket:
        folder, manifest = Path(name), _repository(Path(name), mib)
        progress(f"{sum(e.bytes for e in manifest.entries) / MB:.0f} MB in {len(manifest.entries)} blobs")
        client = bucket._bucket.client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the same connections for both
        yield Laid(folder, manifest, bucket, client, place.bucket if place else "")


def _repository(folder: Path, mib: float) -> Manifest:
    """Bytes at random below a catalogue that lists one snapshot."""
    sizes = list[int]()
    while sum(sizes) < mib * (1 << 20):
        sizes += SIZES
    catalogue: dict[str, Any] = {"uuid": "bench", "cluster_id": "bench", "snapshots": [], "indices": {}}
    bodies = {"index-0": json.dumps(catalogue | {"index_metadata_identifiers": {}}).encode(), "index.latest": bytes(8)}
    entries = [_written(folder, path, body) for path, body in bodies.items()]
    entries += [_written(folder, f"__{number}", os.urandom(size)) for number, size in enumerate(sizes)]
    return Manifest(repository="bench", generation=0, snapshot="bench", snapshot_uuid="bench", entries=tuple(entries))


def _written(folder: Path, path: str, body: bytes) -> Entry:
    (folder / path).write_bytes(body)
    return Entry(path=path, bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


def main(arguments: list[str]) -> int:
    """Exit code 1 where a figure could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.offsite", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mib", type=float, default=80.0, help="at least, to be copied a round (default 80)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median")
    options = parser.parse_args(arguments)
    return conclude(SERVERS, lambda at: {**offsite_speed(at.settings, options.mib, options.rounds)}, {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
