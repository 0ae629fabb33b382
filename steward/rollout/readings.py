"""What a judge is given: counts of both arms and figures of guards, each with the time at which it was true.

Whatever is missing, stale, not a number or impossible is a value here, never an exception, and never taken for zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from steward.rollout.plan import EVERYBODY, Plan

CLOCKS_APART_SECONDS = 5.0
"""A figure from further in the future says that a clock is wrong: it may as well be old."""


class Frozen(BaseModel):
    # NaN and infinity survive the way through JSON by name: null would be another finding.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Sample(Frozen):
    """A figure, and the Unix time at which it was true. Without a value: it was asked for and is not there."""

    value: float | None = None
    at: float | None = None


MISSING = Sample()
EXPOSED, OTHERS = "exposed users", "other users"


class ArmCounts(Frozen):
    """Users of one arm in this step, and how many of them had each outcome at least once."""

    users: Sample = MISSING
    hits: Mapping[str, Sample] = {}
    """By the metric's name."""

    def of(self, metric: str) -> Sample:
        return self.hits.get(metric, MISSING)


class Override(Frozen):
    """A person's word that a step may go on although too few users come to prove anything."""

    step: int
    who: str = Field(pattern=r"\S")
    why: str = Field(pattern=r"\S")
    at: float


class Reading(Frozen):
    """One look at a step."""

    step: int = Field(ge=1)
    """Of the plan's, from 1."""
    exposure: int = Field(ge=1, le=EVERYBODY)
    begun_at: float
    """Unix time at which the counts begin."""
    begun_anew: int = Field(default=0, ge=0)
    """How often the step's counts were begun anew. A step that was merely resumed goes on with the same counts."""
    baking: bool = False
    """All are exposed, and only time is to pass."""
    on: ArmCounts = ArmCounts()
    off: ArmCounts = ArmCounts()
    guards: Mapping[str, Sample] = {}
    override: Override | None = None

    @property
    def weight(self) -> float:
        return self.exposure / EVERYBODY

    @property
    def compares(self) -> bool:
        """Whether there is another arm."""
        return self.exposure < EVERYBODY


class Trouble(NamedTuple):
    """Why a figure cannot be judged."""

    what: str
    seen: str
    metric: str | None = None
    """Which of the metrics it keeps from being judged; None: all of them."""
    is_zero: bool = False
    """It is known, and it is that nobody came: a comparison that proves nothing, but no fault of the data."""

    def __str__(self) -> str:
        return f"{self.what}: {self.seen}"


def trouble_with(sample: Sample, what: str, plan: Plan, now: float) -> Trouble | None:
    """Why *sample* is not to be judged by *now*."""
    if sample.value is None:
        return Trouble(what, "missing")
    if not math.isfinite(sample.value):
        return Trouble(what, "not a number")
    if sample.at is None or not math.isfinite(sample.at):
        return Trouble(what, "without a time")
    age = now - sample.at
    if age > plan.stale_seconds:
        return Trouble(what, f"stale: {age:.0f} s old, {plan.stale_seconds:g} s are allowed")
    if age < -CLOCKS_APART_SECONDS:
        return Trouble(what, f"from {-age:.0f} s in the future: a clock is wrong")
    return None


class Look(NamedTuple):
    """A reading, and all that its soundness depends on."""

    reading: Reading
    plan: Plan
    now: float
    peaks: Mapping[str, float] = {}
    """The highest of each count so far, by `arm` or `metric of arm`: counts of users who were seen never shrink."""

    @property
    def counts(self) -> dict[str, Sample]:
        """Every count that is judged. Where all are exposed, the others do not matter."""
        found: dict[str, Sample] = {}
        for arm, counts in self.arms.items():
            found[arm] = counts.users
            found |= {f"{metric.name} of {arm}": counts.of(metric.name) for metric in self.plan.metrics}
        return found

    @property
    def arms(self) -> dict[str, ArmCounts]:
        on = {EXPOSED: self.reading.on}
        return on | {OTHERS: self.reading.off} if self.reading.compares else on


def troubles_of(look: Look) -> Iterator[Trouble]:
    """Whatever keeps the counts of *look* from being judged."""
    for arm, counts in look.arms.items():
        trouble = trouble_with_count(counts.users, arm, look)
        if trouble:
            yield trouble
        elif counts.users.value == 0:
            yield Trouble(arm, "none came", is_zero=True)
        for metric in look.plan.metrics:
            sample, what = counts.of(metric.name), f"{metric.name} of {arm}"
            its = trouble_with_count(sample, what, look)
            if not its and not trouble and (sample.value or 0) > (counts.users.value or 0):
                its = Trouble(what, f"{sample.value:g} of {counts.users.value:g}: more than there are")
            if its:
                yield its._replace(metric=metric.name)


def trouble_with_count(sample: Sample, what: str, look: Look) -> Trouble | None:
    """Why *sample* is no count of the step that is looked at."""
    trouble = trouble_with(sample, what, look.plan, look.now)
    if trouble or sample.value is None or sample.at is None:
        return trouble
    if sample.at < look.reading.begun_at:
        return Trouble(what, f"from {look.reading.begun_at - sample.at:.0f} s before the step began")
    # A rate, or an increase that Prometheus extrapolated, is no count: the test is exact over exact counts.
    if sample.value < 0 or sample.value != math.floor(sample.value):
        return Trouble(what, f"{sample.value:g} is no count")
    if sample.value < (peak := look.peaks.get(what, 0)):
        return Trouble(what, f"went back from {peak:g} to {sample.value:g}: something counts anew")
    return None


def peaks_of(look: Look) -> dict[str, float]:
    """The highest of each count up to this look, of those that can be read."""
    sound = {
        what: sample.value
        for what, sample in look.counts.items()
        if sample.value is not None and not trouble_with_count(sample, what, look)
    }
    return {**look.peaks, **sound}
