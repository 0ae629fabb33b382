"""What a person may say of a step, and when: only what is asked, of the step that they saw."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from steward.errors import BadInput
from steward.rollout.decision import Decision
from steward.rollout.glance import Glance
from steward.rollout.record import Rollout, Said, Saying
from steward.rollout.state import ENDED, State


class NotAsked(BadInput):
    """Nobody waits for that word."""


def require_asked(rollout: Rollout, last: Glance | None, saying: Saying) -> None:
    """That the rollout, last looked at as *last*, waits for an approval, or for an override. Raises NotAsked."""
    if rollout.state in ENDED or rollout.state is State.WITHDRAWING:
        raise NotAsked(f"{rollout} is {rollout.state.replace('_', ' ')}", hint="there is nothing left to decide")
    of_step = last if last and (last.step, last.baking) == (rollout.step, rollout.state is State.BAKING) else None
    if of_step is None:
        raise NotAsked(
            f"{rollout} is {rollout.state} at {rollout.exposure} %, and this step was not looked at yet",
            hint=f"see: python -m steward rollout show {rollout.id}",
        )
    if saying == "approve":
        _require_approval(rollout, of_step)
    elif not of_step.too_little:
        raise NotAsked(
            f"{rollout} at {rollout.exposure} % is {of_step.decision}, and not for too few users: {_first(of_step)}",
            hint="an override is for what cannot be proved in time; harm and missing data are not overridden",
        )


def word_wanted(rollout: Rollout, last: Glance | None, told: Iterable[Said]) -> Saying | None:
    """The word that it waits for now, and has not got yet."""
    had = {each.decision for each in told if each.step == rollout.step}
    wanted: tuple[Saying, ...] = ("approve", "override")
    for saying in wanted:
        with suppress(NotAsked):
            require_asked(rollout, last, saying)
            return None if saying in had else saying
    return None


def _require_approval(rollout: Rollout, last: Glance) -> None:
    if last.baking or not rollout.plan.asks_after(rollout.exposure):
        raise NotAsked(
            f"the plan of {rollout} asks nobody after {'the bake' if last.baking else f'{rollout.exposure} %'}",
            hint="it goes on by itself once it is proved",
        )
    if last.decision != Decision.GO:
        raise NotAsked(
            f"{rollout} at {rollout.exposure} % is {last.decision}: {_first(last)}",
            hint="approve once it is proved; then you are asked",
        )


def _first(last: Glance) -> str:
    return next(iter(last.reasons), "no reason is known")
