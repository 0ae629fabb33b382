"""Both variants beside each other at the end: who met what under each, and how far they differ, whenever one looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from steward.rollout.intervals import Arm, Comparison, compare_arms
from steward.rollout.plan import EVERYBODY, EXPOSED, Plan


class Total(Protocol):
    """So many users under a variant met something in a step."""

    @property
    def step(self) -> int: ...
    @property
    def variant(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def users(self) -> int: ...


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VariantUsers(_Frozen):
    """Of one variant in one step."""

    users: int
    """Exposed to it."""
    outcomes: dict[str, int]
    """By the metric's name: users who met it at least once."""


class StepAnalysis(_Frozen):
    """One step, in which both variants had users."""

    step: int
    exposure: int
    variants: dict[str, VariantUsers]
    compared: dict[str, Comparison]
    """By metric: the exposed variant against the off one. Without those that nobody of either was counted for."""


def analyse(totals: Iterable[Total], plan: Plan, variant: str, off: str) -> list[StepAnalysis]:
    """Each step that compared two variants. All intervals of a rollout hold together, at 95 %."""
    counted: dict[int, dict[str, dict[str, int]]] = {}
    for each in totals:
        counted.setdefault(each.step, {}).setdefault(each.variant, {})[each.kind] = each.users
    compared = [step for step in sorted(counted) if 0 < step <= len(plan.steps) and plan.steps[step - 1] < EVERYBODY]
    comparisons = max(1, len(compared) * len(plan.metrics))
    return [_step(step, counted[step], plan, (variant, off), comparisons) for step in compared]


def _step(
    step: int, counted: Mapping[str, Mapping[str, int]], plan: Plan, names: tuple[str, str], comparisons: int
) -> StepAnalysis:
    variants = {name: _users(kinds, plan) for name, kinds in counted.items()}
    return StepAnalysis(
        step=step,
        exposure=plan.steps[step - 1],
        variants=variants,
        compared={
            metric.name: compare_arms(on, other, comparisons=comparisons)
            for metric in plan.metrics
            if (on := _arm(variants.get(names[0]), metric.name))
            and (other := _arm(variants.get(names[1]), metric.name))
        },
    )


def _users(kinds: Mapping[str, int], plan: Plan) -> VariantUsers:
    return VariantUsers(
        users=kinds.get(EXPOSED, 0), outcomes={metric.name: kinds.get(metric.name, 0) for metric in plan.metrics}
    )


def _arm(of: VariantUsers | None, metric: str) -> Arm | None:
    return Arm(of.users, min(of.users, of.outcomes[metric])) if of and of.users else None
