"""What a night of a large repository takes, computed from what a bench has measured; writes a page of docs.

    make bench-snapshot | tail -1 >rates.json
    python -m bench.sizing rates.json [--page docs/large-repositories.md]

Stages that runs of prove-tenant share go as many times as fast with so many workers; the rest one run does. The figures
are computed by what the flow itself plans a night with (steward/snapshots/estimating.py).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steward.errors import BadInput, StewardError
from steward.snapshots.estimating import SHARED, Estimate, StageEstimate
from steward.snapshots.planning import MOST_PARTS
from steward.snapshots.policy import NIGHT_SECONDS, SnapshotPolicy
from steward.snapshots.report import SnapshotReport

TIB, GIB = 1 << 40, 1 << 30
SIZES_TIB = (1, 10)
WORKERS = (1, 2, 4, 8, 16, 32)
#: Of a repository's bytes, new each night.
CHANGED = 0.02
TENANT_BYTES = 10 * GIB
DOCUMENT_BYTES = (1 << 10, 16 << 10)
#: Of `prove_every_nights`.
MOST_NIGHTS = 90
BEGIN, END = "<!-- computed by python -m bench.sizing -->", "<!-- end -->"


class Rates(BaseModel):
    """What was measured, a second, on one machine."""

    model_config = ConfigDict(frozen=True)

    snapshot_bytes: float = Field(gt=0)
    blobs_bytes: float = Field(gt=0)
    restore_bytes: float = Field(gt=0)
    compare_documents: float = Field(gt=0)
    """Small ones, of which the number counts."""
    compare_bytes: float = Field(gt=0)
    """Large ones, of which the bytes count."""
    tenants: float = Field(gt=0)
    """Definitions compared, and queries asked."""
    copy_bytes: float = Field(gt=0)


def tenants_rate(night: SnapshotReport) -> float:
    """Tenants a second whose definitions were compared and queries asked."""
    stages = {stage.name: stage.seconds for stage in night.stages}
    return round(len(night.tenants) / (stages["compare definitions"] + stages["golden queries"]), 1)


@dataclass(frozen=True)
class Sizing:
    """A repository of so many bytes, each night."""

    rates: Rates
    bytes: int
    document_bytes: int
    policy: SnapshotPolicy = field(default_factory=SnapshotPolicy)

    def night(self, workers: int = 1, share: float = 1.0, new: float = CHANGED) -> Estimate:
        """By stage, where *share* of the bytes is proved, and the share *new* was not there the night before."""
        at, proved = self.rates, share * self.bytes
        read = min(1.0, new + 1 / self.policy.blob_check_days) * self.bytes
        staged = min(proved, self.policy.copy_proof_bytes)
        seconds = {
            "snapshot": new * self.bytes / at.snapshot_bytes,
            "blobs": read / at.blobs_bytes,
            "restore": proved / at.restore_bytes,
            "compare contents": self._compared(proved),
            "compare definitions": math.ceil(proved / TENANT_BYTES) / at.tenants,
            "copy": new * self.bytes / at.copy_bytes,
            # Fetched as fast as it was sent, restored, and read for its digests.
            "copy-proof": staged / at.copy_bytes + staged / at.restore_bytes + self._compared(staged),
        }
        stages = [StageEstimate(name=name, seconds=each, nights=1) for name, each in seconds.items()]
        runs = min(MOST_PARTS, math.ceil(proved / TENANT_BYTES)) if workers > 1 else 0
        return Estimate(stages=stages, runs=runs)

    def nights(self, workers: int) -> int | None:
        """The least `prove_every_nights` whose night is over in time with *workers*; None: not by any that the policy takes."""
        ends = (each for each in range(1, MOST_NIGHTS + 1) if self._ends(workers, 1 / each))
        return next(ends, None)

    def disk(self, workers: int, nights: int) -> int:
        """The `restore_bytes` at which no worker waits: as many runs are at work at a time as there are workers."""
        proved = self.bytes / nights
        if proved <= MOST_PARTS * TENANT_BYTES:
            return math.ceil(min(workers * TENANT_BYTES, proved))
        # Of no more runs than a night has, as many a batch as there are workers; and room for what a batch does not fill.
        return math.ceil(proved / (MOST_PARTS // workers)) + TENANT_BYTES

    def _ends(self, workers: int, share: float) -> bool:
        return self.night(workers, share).seconds_with(workers) <= NIGHT_SECONDS

    def _compared(self, size: float) -> float:
        return size / self.document_bytes / self.rates.compare_documents + size / self.rates.compare_bytes


def most_bytes(rates: Rates, document_bytes: int, workers: int) -> int:
    """Of which all tenants are proved in one night: above it the policy must rotate, or have more workers."""
    low, high = 0, 1 << 60
    while high - low > GIB:
        middle = (low + high) // 2
        low, high = (
            (middle, high)
            if Sizing(rates, middle, document_bytes).night(workers).seconds_with(workers) <= NIGHT_SECONDS
            else (low, middle)
        )
    return low


def tables(rates: Rates) -> Iterator[str]:
    """The page's part in Markdown."""
    yield from ("```json", json.dumps(rates.model_dump()), "```")
    for size in SIZES_TIB:
        yield from ("", f"### {size} TiB", "", *_nights(rates, size * TIB), "", *_stages(rates, size * TIB))
    yield from ("", "### All tenants in one night", "", *_points(rates))


def _nights(rates: Rates, size: int) -> Iterator[str]:
    """How long all of it takes; where that is too long, over how many nights to rotate, and by what disk."""
    heads = (f"{_document(each)}: all | rotate over | restore_bytes" for each in DOCUMENT_BYTES)
    yield _row("workers", heads)
    yield "| ---: |" + " ---: | ---: | ---: |" * len(DOCUMENT_BYTES)
    for workers in WORKERS:
        yield _row(workers, (_night(Sizing(rates, size, each), workers) for each in DOCUMENT_BYTES))


def _night(sizing: Sizing, workers: int) -> str:
    nights = sizing.nights(workers)
    rotation = {None: "too long", 1: "no need"}.get(nights, f"{nights} nights")
    disk = f"{sizing.disk(workers, nights) / GIB:,.0f} GiB" if nights else "-"
    return f"{_time(sizing.night(workers).seconds_with(workers))} | {rotation} | {disk}"


def _stages(rates: Rates, size: int) -> Iterator[str]:
    """With documents of the first size."""
    yield from ("| stage | a night | the first night | shared by workers |", "| --- | ---: | ---: | --- |")
    sizing = Sizing(rates, size, DOCUMENT_BYTES[0])
    for stage, first in zip(sizing.night().stages, sizing.night(new=1.0).stages, strict=True):
        shared = "yes" if stage.name in SHARED else "no"
        yield f"| {stage.name} | {_time(stage.seconds)} | {_time(first.seconds)} | {shared} |"


def _points(rates: Rates) -> Iterator[str]:
    """Above which the policy must rotate, or have more workers."""
    yield _row("workers", (f"{_document(each)}: up to" for each in DOCUMENT_BYTES))
    yield "| ---: |" + " ---: |" * len(DOCUMENT_BYTES)
    for workers in WORKERS:
        yield _row(workers, (f"{most_bytes(rates, each, workers) / TIB:.2f} TiB" for each in DOCUMENT_BYTES))


def _row(first: object, cells: Iterable[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def _document(size: int) -> str:
    return f"documents of {size >> 10} KiB"


def _time(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def rewritten(page: str, part: str) -> str:
    """*page* with *part* between its marks. BadInput where it has none."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise BadInput(f"the page has not one {BEGIN} before one {END}", hint="put them where the tables belong")
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n\n{part}\n\n{END}{rest.split(END)[1]}"


def read_rates(text: str) -> Rates:
    """From the bench's line. BadInput where it has none."""
    try:
        told: Mapping[str, Any] = json.loads(text)
        return Rates.model_validate(told["rates"])
    except (ValueError, KeyError, TypeError, ValidationError):
        raise BadInput('no JSON with "rates"', hint="make bench-snapshot | tail -1 >FILE") from None


def main(arguments: list[str]) -> int:
    """Exit code 1 where there are no rates, or no page to write them on."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rates", type=Path, help="the last line of make bench-snapshot")
    parser.add_argument("--page", type=Path, help="to be rewritten between its marks; absent: printed")
    options = parser.parse_args(arguments)
    try:
        part = "\n".join(tables(read_rates(options.rates.read_text())))
        if options.page:
            options.page.write_text(rewritten(options.page.read_text(), part))
        else:
            print(part)
    except (StewardError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
