"""Speed, memory and growth of the proof of a snapshot, beside its rival; and clean runs under live writes.

    python -m bench.snapshot [--documents N] [--only compare growth flow storage clean] [--rounds 3] [--runs 20]

Real documents, real servers of its own, one in a hundred documents deleted. Progress goes to standard error; the last
line of standard output is JSON:

    digest_docs_per_second   documents of the copy proved a second (median), digest included
    helpers_scan_ratio       times as long as the proof that helpers.scan + json + hash takes; goal: at least 3
    helpers_scan_threads_ratio   the same with as many threads as the proof has
    drain_ratio              the proof's speed as a share of reading the same pages and no more; goal: at least 0.8
    flow_seconds             the whole flow at N documents, from the start of its process to its end
    peak_memory_mb           of the flow's process, at any size that was run; goal: below 500
    growth                   median seconds of the proof by number of documents
    blob_check_gib_per_second    blobs read and checked a second; goal: at least 1 (more in bench/blob_check.py)
    offsite_mb_per_second    a copy to the bucket for copies, under its lock and compared (more in bench/offsite.py)
    offsite_plain_mb_per_second  the same bytes uploaded by boto3 and no more
    rates                    what bench/sizing.py computes larger repositories from
    clean_runs               of how many, attributed, undecided, false alarms (not by default: `make drill-clean-runs`
                             runs them and checks each attribution against the writers' log)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bench import dataset
from bench.blob_check import blob_check_speed
from bench.bulk import bulk_rates
from bench.clean import clean_runs
from bench.compare import THREADED, Times, time_all, time_proof
from bench.flow_run import FlowFigures, run_flow
from bench.ground import Ground, ground, progress
from bench.night import restored_copy
from bench.offsite import offsite_speed
from bench.sizing import Rates, tenants_rate
from steward.errors import StewardError

DEFAULT = ("compare", "growth", "flow", "storage")
PARTS = (*DEFAULT, "clean")
#: Parts and multiples of N at which growth is measured.
SIZES = (0.25, 0.5, 1.0, 2.0)
SEARCH = ("es-1", "es-2", "es-3", "scratch")
PLATFORM = (*SEARCH, "postgres", "s3", "keyvault", "prefect")


@dataclass
class Figures:
    """What was measured so far; what was not is absent from the JSON, never zero."""

    compared: Times | None = None
    growth: dict[int, float] = field(default_factory=dict[int, float])
    flows: dict[int, FlowFigures] = field(default_factory=dict[int, FlowFigures])
    storage: dict[str, float] = field(default_factory=dict[str, float])
    bulk: dict[str, float] = field(default_factory=dict[str, float])
    clean: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_json(self, documents: int) -> dict[str, Any]:
        """Of the parts that ran."""
        told: dict[str, Any] = {"documents": documents}
        if self.compared:
            told |= ratios(self.compared)
        if self.growth:
            told["growth"] = {str(size): round(seconds, 2) for size, seconds in self.growth.items()}
        if self.flows:
            told["flow_seconds"] = round(self.flows[min(self.flows)].seconds, 1)
            told["flow_seconds_by_documents"] = {str(n): round(flow.seconds, 1) for n, flow in self.flows.items()}
            told["peak_memory_mb"] = round(max(flow.peak_memory_mb for flow in self.flows.values()))
        told |= self.storage
        if self.compared and self.flows and self.storage:
            told["rates"] = self._rates(told["digest_docs_per_second"]).model_dump()
        return told | ({"clean_runs": self.clean} if self.clean else {})

    def _rates(self, documents: float) -> Rates:
        return Rates(
            **self.bulk,
            compare_documents=documents,
            tenants=tenants_rate(self.flows[min(self.flows)].report),
            blobs_bytes=self.storage["blob_check_gib_per_second"] * (1 << 30),
            copy_bytes=self.storage["offsite_mb_per_second"] * 10**6,
        )


def ratios(times: Times) -> dict[str, Any]:
    """The proof beside the others."""
    return {
        "digest_docs_per_second": round(times.documents / times.median("proof")),
        "helpers_scan_ratio": round(times.ratio("rival"), 2),
        "helpers_scan_threads_ratio": round(times.ratio(THREADED), 2),
        "drain_ratio": round(times.ratio("drain"), 2),
        "rounds": len(times.rounds["proof"]),
    }


def sizes(documents: int, parts: Iterable[str]) -> list[int]:
    """How many documents to have at each stop: N alone, or with its parts and multiples."""
    if "growth" in parts:
        return [round(documents * part) for part in SIZES]
    return [documents] if {"compare", "flow"} & set(parts) else []


def measure(at: Ground, documents: int, parts: Sequence[str], rounds: int, runs: int) -> Figures:
    """Everything that *parts* names, on one set of documents that grows."""
    figures, loaded, living = Figures(), 0, 0
    dataset.make_tenants(at.settings, dataset.names())
    for stop in sizes(documents, parts):
        living += dataset.load(at.settings, loaded, stop)
        loaded = stop
        progress(f"{living:,} documents are there")
        _proofs(at, figures, living, rounds, full=stop == documents and "compare" in parts)
        if "flow" in parts and stop >= documents:
            # A night of its own for each, one after the other: a night that has its verdict is not proved again.
            left = sum(1 for other in sizes(documents, parts) if other > stop)
            figures.flows[living] = _flow(at, datetime.now(UTC).date() - timedelta(days=left))
    if "storage" in parts:
        figures.storage = blob_check_speed() | offsite_speed(at.settings)
        figures.bulk = bulk_rates(at.settings)
    if "clean" in parts:
        outcome = clean_runs(at.settings, runs)
        figures.clean = asdict(outcome) | {"undecided_ppm": outcome.undecided_ppm}
    return figures


def _proofs(at: Ground, figures: Figures, living: int, rounds: int, *, full: bool) -> None:
    indices = [name.first_index for name in dataset.names()]
    with restored_copy(at.settings, indices, f"bench-{living}") as copy:
        progress(f"  snapshot {copy.taken.bytes:,} bytes, restored in {copy.restored.seconds:.1f} s")
        times = time_all(copy, living, rounds) if full else time_proof(copy, living, 1)
    figures.growth[living] = times.median("proof")
    if full:
        figures.compared = times


def _flow(at: Ground, night: date) -> FlowFigures:
    figures = run_flow(at, night)
    progress(f"  flow: {figures.seconds:.1f} s, peak {figures.peak_memory_mb:.0f} MB")
    return figures


def main(arguments: list[str]) -> int:
    """Exit code 1 where a figure could not be measured."""
    options = _parser().parse_args(arguments)
    try:
        with ground(PLATFORM if {"flow", "storage"} & set(options.only) else SEARCH) as at:
            figures = measure(at, options.documents, options.only, options.rounds, options.runs)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(figures.as_json(options.documents)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.snapshot", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=200_000, help="N (default 200,000; at most 430,000)")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(DEFAULT), help="parts to run (default: all but clean)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of all contenders, of which the median")
    parser.add_argument("--runs", type=int, default=20, help="clean runs")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
