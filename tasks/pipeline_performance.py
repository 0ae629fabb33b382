"""A candidate's speed beside the certified release's: the same command in both, in turns, until they tell or time is over."""

from __future__ import annotations

import math
import time
from pathlib import Path

from pydantic import JsonValue

from steward.errors import StewardError
from steward.pipeline.manifest import Performance
from steward.pipeline.performance import (
    Comparison,
    NoFigure,
    Pair,
    compare_pairs,
    draw_order,
    plan_looks,
    read_figure,
)
from steward.pipeline.request import Candidate
from steward.pipeline.stage import StageFound
from steward.settings import Settings
from steward.verdicts import Verdict
from tasks.pipeline_build import built
from tasks.pipeline_workspace import Workspace


class _NotMeasured(StewardError):
    """A measurement did not come to its end."""

    def __init__(self, says: str, tail: str = "") -> None:
        super().__init__(says)
        self.tail = tail


def prove_performance(space: Workspace, candidate: Candidate, settings: Settings) -> StageFound:
    """Pairs are added until they decide. What cannot be measured, or not evenly enough, is UNKNOWN."""
    told, before = candidate.manifest.performance, candidate.certified
    if told is None:
        return StageFound.of(Verdict.UNKNOWN, "pipeline.toml has no table [performance]: nothing was proved")
    if before and before.manifest is None:
        says = (
            f"the certified commit {before.commit} has no usable pipeline.toml, so it cannot be built to compare with"
        )
        return StageFound.of(Verdict.UNKNOWN, says)
    here = built(space, candidate.commit, candidate.manifest.build)
    there = built(space, before.commit, before.manifest.build) if before and before.manifest else None
    measuring = _Measuring(space, told)
    try:
        return measuring.compared(here, there, candidate.commit) if there else measuring.alone(here)
    except (_NotMeasured, NoFigure) as why:
        return measuring.told_unknown(why)


class _Measuring:
    def __init__(self, space: Workspace, told: Performance) -> None:
        self._space, self._told, self._pairs = space, told, list[Pair]()
        self._until = time.monotonic() + min(told.stage_seconds, space.most_seconds)

    def compared(self, here: Path, there: Path, seed: str) -> StageFound:
        """Raises _NotMeasured, NoFigure."""
        looks = plan_looks(self._told.pairs, self._told.most_pairs)
        # Thrown away: the first run of each pays for cold caches.
        self._pair(here, there, candidate_first=True)
        found = Comparison(Verdict.UNKNOWN, None, "nothing was measured")
        for candidate_first in draw_order(seed, looks[-1]):
            self._pairs.append(self._pair(here, there, candidate_first=candidate_first))
            found = compare_pairs(self._pairs, self._told.tolerance, looks)
            if found.verdict is not Verdict.UNKNOWN:
                break
        findings = [] if found.verdict is Verdict.VERIFIED else [found.says]
        return StageFound.of(found.verdict, found.says, figures=self._figures(found), findings=findings)

    def alone(self, here: Path) -> StageFound:
        """The first release: a person has said that there is none to compare it with."""
        figure = self._measure(here, "the candidate")
        says = f"no certified release to compare with, as was said; {self._told.figure} {figure:g}"
        return StageFound.of(Verdict.VERIFIED, says, figures={"candidate": figure, "pairs": 0})

    def told_unknown(self, why: StewardError) -> StageFound:
        says = f"{why.message}; {len(self._pairs)} pairs were measured"
        tail = why.tail if isinstance(why, _NotMeasured) else ""
        return StageFound.of(Verdict.UNKNOWN, says, figures={"pairs": len(self._pairs)}, findings=[str(why)], tail=tail)

    def _pair(self, here: Path, there: Path, *, candidate_first: bool) -> Pair:
        if candidate_first:
            candidate = self._measure(here, "the candidate")
            return Pair(candidate, self._measure(there, "the certified release"))
        certified = self._measure(there, "the certified release")
        return Pair(self._measure(here, "the candidate"), certified)

    def _measure(self, folder: Path, who: str) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise _NotMeasured("too little time to tell")
        ran = self._space.run(self._told.command, folder, min(self._told.seconds, left))
        if not ran.is_green:
            raise _NotMeasured(f"{who} could not be measured: {ran.how}", ran.tail)
        return read_figure(ran.output, self._told.figure)

    def _figures(self, found: Comparison) -> dict[str, JsonValue]:
        slowdown = found.slowdown
        # At the end of too few pairs an interval has no ends, and JSON has no infinity.
        return {
            "pairs": len(self._pairs),
            "ratio": slowdown.ratio if slowdown else None,
            "ratio_interval": [slowdown.low, slowdown.high] if slowdown and slowdown.high < math.inf else None,
            "tolerance": self._told.tolerance,
            "candidate": [each.candidate for each in self._pairs],
            "certified": [each.certified for each in self._pairs],
        }
