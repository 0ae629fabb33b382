"""What people are shown of a judgement that was kept: read leniently, and without the judge.

A page shows rollouts of other versions too, whose judgements had other fields; and who serves pages needs no SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class MetricGlance(_Shown):
    """A metric's standing at one look. E-values are natural logarithms."""

    metric: str
    on_users: int
    on_hits: int
    off_users: int
    off_hits: int
    ln_e_bad: float
    ln_e_good: float
    ln_bad_needed: float
    ln_good_needed: float
    seconds_to_roll_back: float | None = None
    seconds_to_go: float | None = None
    basis: str = "relative"

    @property
    def is_compared(self) -> bool:
        """Else all are exposed, and only harm is looked for."""
        return self.basis != "absolute"

    @property
    def to_harm(self) -> float:
        """How far it is on the way to being rolled back, of 1."""
        return _part(self.ln_e_bad, self.ln_bad_needed)

    @property
    def to_health(self) -> float:
        """How far it is on the way to being proved, of 1."""
        return _part(self.ln_e_good, self.ln_good_needed)


class GuardGlance(_Shown):
    """A guard's standing at one look."""

    name: str
    value: float | None = None
    breached: bool = False
    finding: str = ""


class OverrideGlance(_Shown):
    """On whose word it went on."""

    who: str
    why: str


class Glance(_Shown):
    """One look. Times are Unix seconds."""

    decision: str
    at: float
    step: int
    exposure: int
    begun_at: float
    baking: bool = False
    reasons: tuple[str, ...] = ()
    weighed: tuple[MetricGlance, ...] = ()
    guards: tuple[GuardGlance, ...] = ()
    readable: bool = True
    deadline_at: float | None = None
    seconds_to_go: float | None = None
    seconds_to_roll_back: float | None = None
    too_little: bool = False
    users_missing: int | None = None
    overridden: OverrideGlance | None = None

    def of(self, metric: str) -> MetricGlance | None:
        """The metric's standing; None: it could not be judged at this look."""
        return next((each for each in self.weighed if each.metric == metric), None)

    @property
    def stage(self) -> tuple[int, bool]:
        """The looks of one stage are of one test: users are counted from its beginning."""
        return self.step, self.baking

    @property
    def label(self) -> str:
        """The stage in a word."""
        return "bake" if self.baking else f"{self.exposure} %"


def metrics_of(glances: Iterable[Glance]) -> list[str]:
    """Every metric that was judged, in the order of the plan."""
    return list(dict.fromkeys(each.metric for glance in glances for each in glance.weighed))


def e_value(ln: float) -> str:
    """From its logarithm, as people read it."""
    return f"{math.exp(ln):.3g}" if abs(ln) < math.log(1e5) else f"10^{ln / math.log(10):.0f}"


def _part(ln: float, needed: float) -> float:
    return min(1.0, max(0.0, ln / needed)) if needed > 0 and math.isfinite(ln) else 0.0
