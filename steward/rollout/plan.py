"""How a release is let out, and what it must prove on the way. Prefect shows this model as a form."""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import pairwise
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

EVERYBODY = 100
"""Per cent: nobody is left to compare with."""
EXPOSED = "exposed"
"""The kind of outcome that every user of a step has."""
_RENEWALS_IN_A_LEASE = 3
"""A lease outlives two renewals that were lost: one lost message withdraws no release."""


class Better(StrEnum):
    """Which way a share is better."""

    LOWER = "lower"
    """Errors, slow answers."""
    HIGHER = "higher"
    """Users who finish what they came for."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Form):
    """A share of users, compared between those exposed and the others. A user counts once a step."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$", title="Name", description="kind of outcome, as the application records it"
    )
    better: Better = Field(default=Better.LOWER, title="Better", description="which way the share is better")
    tolerance: float = Field(
        default=0.25, ge=0, le=1, title="Tolerance", description="so much worse is no harm: 0.25 is a quarter more"
    )
    bad_ratio: float | None = Field(
        default=None,
        gt=1,
        le=100,
        title="Bad ratio",
        description="empty: the plan's; beyond it a release must not go on",
    )
    slo: float = Field(
        gt=0,
        lt=1,
        title="SLO",
        description="share of users that is still right: tested where nobody errs, and where all are exposed",
    )
    within_seconds: float = Field(
        default=60,
        ge=0,
        le=86_400,
        title="Within",
        description="better higher: where all are exposed, a user lacks it only so many seconds after he came",
    )
    slo_when_rare: bool = Field(
        default=False,
        title="SLO when rare",
        description="too few err to be compared before the deadline: the SLO is enough; otherwise only a person's override is",
    )

    @model_validator(mode="before")
    @classmethod
    def _has_an_slo(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("slo") is None:
            name = given.get("name", "?")
            raise ValueError(
                _told(
                    f"metric {name} has no SLO: nothing would look at it once all are exposed, where nobody is left to compare with",
                    "the share of users that is still right on a usual day: 0.01 is 1%; with better `higher` the least share",
                )
            )
        return given


class Must(StrEnum):
    """On which side of its bound a guard's figure is to be."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


class Guard(_Form):
    """A figure that must hold whatever the other users see; broken for long enough it rolls back by itself."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", title="Name", description="as the reading calls it")
    must: Must = Field(title="Must be", description="on which side of the bound")
    bound: float = Field(allow_inf_nan=False, title="Bound", description="in the figure's own unit")
    for_seconds: float = Field(
        default=15, ge=0, le=3600, title="For", description="seconds for which it may be broken before it rolls back"
    )


def _metrics() -> tuple[Metric, ...]:
    # Slow is slower than the baseline's p95, so one user in twenty is slow before anything changed.
    return Metric(name="error", slo=0.01), Metric(name="slow", slo=0.10)


def _guards() -> tuple[Guard, ...]:
    return (
        Guard(name="availability", must=Must.AT_LEAST, bound=0.999),
        Guard(name="search_p95_ms", must=Must.AT_MOST, bound=100),
        Guard(name="health", must=Must.AT_LEAST, bound=1),
    )


class Plan(_Form):
    """Steps of exposure, what each must prove, and how long it may take."""

    model_config = ConfigDict(title="Rollout plan")

    steps: tuple[int, ...] = Field(
        default=(5, 25, 50, 100),
        min_length=1,
        max_length=20,
        title="Steps",
        description="per cent exposed; growing, to 100",
    )
    minimum_seconds: float = Field(
        default=60, ge=0, le=86_400, title="Least time", description="seconds that every step lasts at least"
    )
    minimum_users: int = Field(
        default=100,
        ge=1,
        le=10_000_000,
        title="Least sample",
        description="exposed users that every step needs at least",
    )
    deadline_seconds: float = Field(
        default=3600, gt=0, le=604_800, title="Deadline", description="a step that is not proved by then is rolled back"
    )
    blind_seconds: float = Field(
        default=45,
        gt=0,
        le=86_400,
        title="Blind at most",
        description="data missing or stale for so long rolls back; no lease is renewed meanwhile",
    )
    stale_seconds: float = Field(
        default=20, gt=0, le=600, title="Stale after", description="a figure older than this is not known"
    )
    look_seconds: float = Field(default=2, gt=0, le=60, title="Look every", description="seconds between two looks")
    metrics: tuple[Metric, ...] = Field(
        default_factory=_metrics, min_length=1, max_length=10, title="Metrics", description="every one must be proved"
    )
    alpha: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        title="False rollbacks",
        description="a step's chance of rolling back a good release",
    )
    beta: float = Field(
        default=0.05,
        gt=0,
        le=0.2,
        title="False go",
        description="a step's chance of passing a release at the bad ratio",
    )
    bad_ratio: float = Field(
        default=2,
        gt=1,
        le=100,
        title="Bad ratio",
        description="exposed users err so many times as often: must not pass",
    )
    guards: tuple[Guard, ...] = Field(
        default_factory=_guards, max_length=20, title="Guards", description="figures that must hold all the time"
    )
    approvals: tuple[int, ...] = Field(
        default=(),
        title="Approval after",
        description="steps (per cent) after which a person is asked before it goes on",
    )
    bake_seconds: float = Field(
        default=1800, ge=0, le=604_800, title="Bake", description="seconds at 100% before the release is certified"
    )
    lease_seconds: float = Field(
        default=60, ge=2, le=600, title="Lease", description="users stay exposed so long after the last renewal"
    )
    renew_seconds: float = Field(default=15, gt=0, le=200, title="Renew every", description="seconds between renewals")

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        for fault in (_steps_at_fault(self), _tests_at_fault(self), _times_at_fault(self)):
            if fault:
                raise ValueError(fault)
        return self

    def bad_ratio_of(self, metric: Metric) -> float:
        return metric.bad_ratio or self.bad_ratio

    def asks_after(self, exposure: int) -> bool:
        """Whether a person is asked once the step at *exposure* is proved."""
        return exposure in self.approvals

    def following(self, exposure: int) -> int | None:
        """The exposure of the step after it; from 0 the first one, after the last None."""
        return next((step for step in self.steps if step > exposure), None)


def _told(seen: str, hint: str) -> str:
    return f"{seen}\nHINT: {hint}"


def _steps_at_fault(plan: Plan) -> str | None:
    steps = plan.steps
    if not all(0 < step <= EVERYBODY for step in steps):
        return _told(f"steps {list(steps)}: a step exposes 1 to 100 per cent", "for example 5, 25, 50, 100")
    if not all(before < after for before, after in pairwise(steps)):
        return _told(f"steps {list(steps)} do not grow", f"in order: {sorted(set(steps))}")
    if steps[-1] != EVERYBODY:
        return _told(f"the last step exposes {steps[-1]}%: such a release is never certified", "end with 100")
    strangers = sorted(set(plan.approvals) - set(steps))
    if strangers:
        return _told(f"approval after {strangers}, which are no steps", f"steps are {list(steps)}")
    return None


def _tests_at_fault(plan: Plan) -> str | None:
    for kind, names in (
        ("metric", [each.name for each in plan.metrics]),
        ("guard", [each.name for each in plan.guards]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            return _told(f"{kind} {', '.join(twice)} stands twice", "each name once")
    if any(each.name == EXPOSED for each in plan.metrics):
        return _told(f"metric {EXPOSED}: every exposed user is", "name what users may meet")
    for metric in plan.metrics:
        if plan.bad_ratio_of(metric) <= 1 + metric.tolerance:
            return _told(
                f"metric {metric.name}: {1 + metric.tolerance:g} times is tolerated, {plan.bad_ratio_of(metric):g} times is bad",
                "nothing between them could be told apart: tolerate less, or call more bad",
            )
    return None


def _times_at_fault(plan: Plan) -> str | None:
    longest = max(plan.minimum_seconds, plan.bake_seconds)
    late = [each for each in plan.metrics if each.better is Better.HIGHER and each.within_seconds >= longest]
    if late:
        return _told(
            f"metric {late[0].name}: users have {late[0].within_seconds:g} s for it, and once all are exposed it is looked at "
            f"for {longest:g} s",
            "bake for longer, or give them less time",
        )
    if plan.minimum_seconds >= plan.deadline_seconds:
        return _told(
            f"a step lasts at least {plan.minimum_seconds:g} s and is rolled back after {plan.deadline_seconds:g} s",
            "give it a later deadline",
        )
    if plan.lease_seconds < _RENEWALS_IN_A_LEASE * plan.renew_seconds:
        return _told(
            f"a lease of {plan.lease_seconds:g} s renewed every {plan.renew_seconds:g} s ends with the first delays",
            f"renew every {math.floor(plan.lease_seconds / _RENEWALS_IN_A_LEASE * 10) / 10:g} s or more often; 60 and 15, 5 and 1",
        )
    return None
