"""The proof beside its rival and beside its floor, in turns, on one restored copy of a source at rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from bench import rival
from bench.drain import drain
from bench.ground import progress
from bench.night import Copy
from steward.errors import StewardError
from steward.snapshots.proof import WORKERS, prove
from steward.verdicts import Verdict

THREADED = "rival with threads"


class NotTheSame(StewardError):
    """A contender did not find the copy equal, or did not see all of it: its time would be of something else."""


@dataclass
class Times:
    """Seconds of each contender, round by round."""

    documents: int
    rounds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def median(self, contender: str) -> float:
        """Of all rounds."""
        return median(self.rounds[contender])

    def ratio(self, contender: str) -> float:
        """How many times as long *contender* took as the proof in the same round: the median of the rounds.

        What ran once is held against the proof's last round.
        """
        theirs, ours = self.rounds[contender], self.rounds["proof"]
        return median(their / our for their, our in zip(theirs, ours[-len(theirs) :], strict=True))


def time_proof(copy: Copy, documents: int, rounds: int) -> Times:
    """The proof alone."""
    return _in_turns(copy, documents, rounds, {"proof": prove_copy})


def time_all(copy: Copy, documents: int, rounds: int) -> Times:
    """The proof, the drain, and the rival; once, the rival is also given as many threads as the proof has."""
    contenders: dict[str, Contender] = {
        "proof": prove_copy,
        "drain": lambda copy: drain(copy, WORKERS),
        "rival": lambda copy: scan(copy, 1),
    }
    times = _in_turns(copy, documents, rounds, contenders)
    times.rounds[THREADED] = [_timed(THREADED, lambda copy: scan(copy, WORKERS), copy, documents)]
    return times


Contender = Callable[[Copy], int]
"""Compares or reads a copy; answers how many documents it saw, all of them equal."""


def prove_copy(copy: Copy) -> int:
    """Steward's own."""
    report = prove(copy.source, copy.scratch, copy.before, copy.restored, copy.taken.moments)
    if report.verdict is not Verdict.VERIFIED:
        raise NotTheSame(f"the proof of a source at rest is {report.verdict}: {report.findings[:3]}")
    return sum(index.unchanged for index in report.indices)


def scan(copy: Copy, workers: int) -> int:
    """The rival's; its client is elasticsearch-py as it comes."""
    seen = rival.compare(
        copy.source.elasticsearch, copy.scratch.elasticsearch, copy.restored.indices, copy.restored.prefix, workers
    )
    if seen.differing:
        raise NotTheSame(f"the rival finds {seen.differing} differences in a source at rest")
    return seen.documents


def _in_turns(copy: Copy, documents: int, rounds: int, contenders: dict[str, Contender]) -> Times:
    times = Times(documents, {name: [] for name in contenders})
    # Once unmeasured: the first to read would pay for everyone's cold caches.
    drain(copy, WORKERS)
    for number in range(rounds):
        # Each round begins with another one, so that no contender always follows the same.
        order = list(contenders)[number % len(contenders) :] + list(contenders)[: number % len(contenders)]
        for name in order:
            times.rounds[name].append(_timed(name, contenders[name], copy, documents))
    return times


def _timed(name: str, contender: Contender, copy: Copy, documents: int) -> float:
    started = time.perf_counter()
    seen = contender(copy)
    seconds = time.perf_counter() - started
    if seen != documents:
        raise NotTheSame(f"{name} saw {seen:,} documents, expected {documents:,}")
    progress(f"  {name}: {documents:,} documents in {seconds:.2f} s")
    return seconds
