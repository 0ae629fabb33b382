"""How long requests took, from the moment when they were due, and which failed: a file of JSON lines, one a request."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import msgspec

from demo.customers.traffic.arrivals import Kind


class Measure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. `due` is Unix time; `milliseconds` from then to the answer, waiting for a free user included."""

    kind: Kind
    due: float
    milliseconds: float
    failed: str | None = None
    """The reason in a few words."""


class Measures:
    """Append-only, from several threads."""

    def __init__(self, path: Path) -> None:
        self._file, self._lock = path.open("wb", buffering=0), Lock()
        self._encoder = msgspec.json.Encoder()

    def append(self, kind: Kind, due: float, failed: str | None) -> None:
        """A request that was *due* (monotonic) and has just been answered."""
        took = time.monotonic() - due
        measure = Measure(kind, round(time.time() - took, 4), round(1000 * took, 3), failed)
        with self._lock:
            self._file.write(self._encoder.encode(measure) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Measure]:
    """The lines in *path*; a last one that is not whole is left out."""
    decoder = msgspec.json.Decoder(Measure)
    with path.open("rb") as lines:
        # Its end may be written while this reads: the rest of it would come as a line of its own.
        yield from (decoder.decode(line) for line in takewhile(_whole, lines))


def _whole(line: bytes) -> bool:
    return line.endswith(b"\n")


def summary(measures: Iterable[Measure]) -> dict[str, Any]:
    """Requests, failures by reason, and percentiles in milliseconds by kind; of failed requests no time is taken."""
    every = list(measures)
    times: dict[str, list[float]] = {}
    for each in every:
        if each.failed is None:
            for name in (each.kind, "all"):
                times.setdefault(name, []).append(each.milliseconds)
    failures = Counter(each.failed for each in every if each.failed is not None)
    return {
        "requests": len(every),
        "failed": failures.total(),
        "failures": dict(failures),
        "milliseconds": {name: percentiles(found) for name, found in sorted(times.items())},
    }


def percentiles(milliseconds: Iterable[float]) -> dict[str, float]:
    """The 50th, 95th and 99th, by nearest rank, and how many there are."""
    ranked = sorted(milliseconds)
    if not ranked:
        return {"count": 0}
    found = {f"p{share}": ranked[max(0, -(-len(ranked) * share // 100) - 1)] for share in (50, 95, 99)}
    return {"count": len(ranked), **found}


def between(measures: Iterable[Measure], since: float, until: float) -> list[Measure]:
    """Those that were due in this time (Unix)."""
    return [each for each in measures if since <= each.due < until]


def by_interval(measures: Iterable[Measure], seconds: float) -> dict[float, dict[str, Any]]:
    """A summary of each interval of *seconds*, keyed by its beginning (Unix time)."""
    intervals: dict[float, list[Measure]] = {}
    for each in measures:
        intervals.setdefault(each.due // seconds * seconds, []).append(each)
    return {start: summary(found) for start, found in sorted(intervals.items())}
