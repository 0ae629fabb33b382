"""GO, HOLD, ROLL_BACK or UNKNOWN: what one look at a step comes to, and why, in words and numbers.

Harm that is shown rolls back, whatever else cannot be seen. Everything else that is not proof of health blocks, and what blocks
until the deadline is rolled back. Looking more often makes neither error likelier: `steward.rollout.evalues` says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from steward.rollout.arrivals import Came, noted
from steward.rollout.decision import Decision
from steward.rollout.evalues import MISMATCH_AT, ln_e_above, ln_e_mismatch
from steward.rollout.guards import Guarded, assess_guards
from steward.rollout.plan import Plan
from steward.rollout.readings import (
    EXPOSED,
    OTHERS,
    Frozen,
    Look,
    Override,
    Reading,
    Trouble,
    peaks_of,
    trouble_with_count,
    troubles_of,
)
from steward.rollout.weighing import MOST_ANEW, Basis, Weighed, weigh
from steward.rollout.wording import figure, of_harm, of_mismatch, of_too_little, of_unproved, seconds

#: Of 1,000 users one may still be asked as before when all are exposed: the new exposure is on its way to somebody.
_STILL_OTHERS = 0.001
_LN_MISMATCH = math.log(MISMATCH_AT)


class Judgement(Frozen):
    """One look's outcome. The next look is given it, so that it knows since when what has been so."""

    decision: Decision
    at: float
    step: int
    exposure: int
    begun_at: float
    begun_anew: int
    baking: bool
    reasons: tuple[str, ...]
    """The weightiest first."""
    weighed: tuple[Weighed, ...] = ()
    """The metrics whose counts were sound."""
    guards: tuple[Guarded, ...] = ()
    ln_e_mismatch: float | None = None
    """None: the users of the arms could not be read."""
    readable: bool
    """Every figure is there, fresh and possible, be it that nobody came."""
    blind_since: float | None = None
    """Unix time of the first of the looks, one after the other, at which something was not readable."""
    peaks: Mapping[str, float] = {}
    """The highest of each count so far."""
    came: tuple[Came, ...] = ()
    """When exposed users did, where that matters."""
    deadline_at: float
    """Unix time at which it is rolled back unless it can go on."""
    seconds_to_go: float | None = None
    seconds_to_roll_back: float | None = None
    """Estimates at the present rate; None: not in sight."""
    too_little: bool = False
    """Too few users come to decide before the deadline: only a person's override lets it go on."""
    users_missing: int | None = None
    overridden: Override | None = None
    """On whose word it goes on unproved. Evidence shows it."""

    @property
    def may_renew(self) -> bool:
        """Nothing is harmed, and it could be seen: only then may the exposure's lease be renewed."""
        return self.readable and self.decision is not Decision.ROLL_BACK

    @property
    def splits_otherwise(self) -> bool:
        """Users do, than planned: the arms are not alike, so comparing them proves neither health nor harm."""
        return self.ln_e_mismatch is not None and self.ln_e_mismatch >= _LN_MISMATCH

    @property
    def shows_harm(self) -> bool:
        """And not merely what looks like it, which is rolled back, too."""
        harmed = (each for each in self.weighed if each.harmed)
        return any(each.breached for each in self.guards) or any(
            each.basis is Basis.ABSOLUTE or not self.splits_otherwise for each in harmed
        )


class _Block(NamedTuple):
    """What keeps a step from going on."""

    decision: Decision
    reason: str
    by_word: bool = False
    """A person's word may stand in for it, where too few users come."""


def judge(reading: Reading, plan: Plan, now: float, before: Judgement | None = None) -> Judgement:
    """What *reading*, taken at the Unix time *now*, comes to. *before* is the look before it, of whatever step."""
    before = before if before and _same_test(before, reading) else None
    look = Look(reading, plan, now, before.peaks if before else {})
    troubles = tuple(troubles_of(look))
    came = _came(look, before.came if before else ())
    guards = assess_guards(reading, plan, now, {each.name: each for each in before.guards} if before else {})
    seen = Judgement(
        decision=Decision.UNKNOWN,
        at=now,
        step=reading.step,
        exposure=reading.exposure,
        begun_at=reading.begun_at,
        begun_anew=reading.begun_anew,
        baking=reading.baking,
        reasons=(),
        weighed=tuple(
            weigh(metric, reading, plan, now, came) for metric in plan.metrics if _sound(troubles, metric.name)
        ),
        guards=guards,
        ln_e_mismatch=_mismatch(look),
        peaks=peaks_of(look),
        came=came,
        readable=all(each.is_zero for each in troubles) and all(each.value is not None for each in guards),
        deadline_at=reading.begun_at + plan.deadline_seconds + (plan.bake_seconds if reading.baking else 0),
    )
    return _decide(_estimated(seen, reading, plan), reading, plan, troubles, before)


def _same_test(before: Judgement, reading: Reading) -> bool:
    return (before.step, before.begun_at, before.baking) == (reading.step, reading.begun_at, reading.baking)


def _came(look: Look, before: tuple[Came, ...]) -> tuple[Came, ...]:
    users = look.reading.on.users
    if look.reading.compares or users.value is None or trouble_with_count(users, EXPOSED, look):
        return before
    return noted(before, int(users.value), look.now, look.plan)


def _sound(troubles: tuple[Trouble, ...], metric: str) -> bool:
    # Without others there is nothing to compare with; without exposed users there are still no errors of theirs.
    return all(_is_quiet(each) or each.metric not in (None, metric) for each in troubles)


def _is_quiet(trouble: Trouble) -> bool:
    return trouble.is_zero and trouble.what == EXPOSED


def _mismatch(look: Look) -> float | None:
    """Where all are exposed, too: then the others are to be none."""
    reading = look.reading
    on, off = reading.on.users, reading.off.users
    if trouble_with_count(on, EXPOSED, look) or trouble_with_count(off, OTHERS, look):
        return None
    exposed, others = on.value or 0.0, off.value or 0.0
    if reading.compares:
        return float(ln_e_mismatch(exposed, exposed + others, reading.weight))
    return float(ln_e_above(others, exposed + others, _STILL_OTHERS))


def _estimated(seen: Judgement, reading: Reading, plan: Plan) -> Judgement:
    """With how far it is from deciding, and whether too few users come for it."""
    elapsed, users = seen.at - seen.begun_at, (reading.on.users.value or 0) if seen.readable else 0
    least = plan.bake_seconds if seen.baking else plan.minimum_seconds
    open_ = [each for each in seen.weighed if not each.proved]
    to_go = [least - elapsed, *(each.seconds_to_go for each in open_)]
    in_all = [each.seconds_in_all for each in open_]
    missing = [each.users_missing for each in open_]
    if users < plan.minimum_users:
        pace = elapsed / users if users else None
        to_go.append(pace and (plan.minimum_users - users) * pace)
        in_all.append(pace and plan.minimum_users * pace)
        missing.append(int(plan.minimum_users - users))
    allowed = seen.deadline_at - seen.begun_at
    harm_at = [each.seconds_to_roll_back for each in seen.weighed if each.seconds_to_roll_back is not None]
    back = min(harm_at, default=None)
    comes_to_harm = back is not None and elapsed + back <= allowed
    return seen.model_copy(
        update={
            "seconds_to_go": _longest(to_go),
            "seconds_to_roll_back": back,
            "too_little": seen.readable
            and elapsed >= plan.minimum_seconds
            and not comes_to_harm
            and any(each is None or each > allowed for each in in_all),
            "users_missing": max((each for each in missing if each is not None), default=None),
        }
    )


def _longest(times: list[float | None]) -> float | None:
    known = [each for each in times if each is not None]
    return max(0.0, *known) if len(known) == len(times) else None


def _decide(
    seen: Judgement, reading: Reading, plan: Plan, troubles: tuple[Trouble, ...], before: Judgement | None
) -> Judgement:
    breached = [each.finding for each in seen.guards if each.breached]
    worse = [each for each in seen.weighed if each.harmed]
    if breached or worse:
        if seen.shows_harm:
            return _with(seen, Decision.ROLL_BACK, [*breached, *(of_harm(each, plan) for each in worse)])
        mismatch = of_mismatch(reading, seen.ln_e_mismatch or 0)
        return _with(seen, Decision.ROLL_BACK, [mismatch, *(figure(each, plan) for each in worse)])
    blocks = tuple(_blocks(seen, reading, plan, troubles))
    override = reading.override if reading.override and reading.override.step == reading.step else None
    if override and seen.too_little and all(block.by_word for block in blocks):
        word = f"{override.who} lets it go on unproved: {override.why}"
        return _with(seen, Decision.GO, [word, *(block.reason for block in blocks)]).model_copy(
            update={"overridden": override}
        )
    if not blocks:
        return _with(seen, Decision.GO, [figure(each, plan) for each in seen.weighed])
    return _blocked(seen, plan, blocks, before)


def _blocked(seen: Judgement, plan: Plan, blocks: tuple[_Block, ...], before: Judgement | None) -> Judgement:
    """HOLD or UNKNOWN, until the deadline."""
    reasons = [block.reason for block in sorted(blocks, key=lambda block: block.decision is not Decision.UNKNOWN)]
    if not seen.readable:
        since = before.blind_since if before and before.blind_since is not None else seen.at
        allowed = min(seen.deadline_at, since + plan.blind_seconds)
        seen = seen.model_copy(update={"blind_since": since, "deadline_at": allowed})
        reasons.insert(0, f"not readable for {seconds(seen.at - since)}, {seconds(plan.blind_seconds)} are allowed")
    if seen.at >= seen.deadline_at:
        over = f"the deadline: not proved in {seconds(seen.at - seen.begun_at)}"
        return _with(seen, Decision.ROLL_BACK, [over, *reasons] if seen.readable else [*reasons, over])
    unknown = any(block.decision is Decision.UNKNOWN for block in blocks)
    return _with(seen, Decision.UNKNOWN if unknown else Decision.HOLD, reasons)


def _with(seen: Judgement, decision: Decision, reasons: list[str]) -> Judgement:
    return seen.model_copy(update={"decision": decision, "reasons": tuple(reasons)})


def _blocks(seen: Judgement, reading: Reading, plan: Plan, troubles: tuple[Trouble, ...]) -> Iterator[_Block]:
    for trouble in troubles:
        yield _Block(Decision.UNKNOWN, str(trouble), by_word=trouble.is_zero)
    if reading.begun_anew > MOST_ANEW:
        yield _Block(
            Decision.UNKNOWN,
            f"the step was begun anew {reading.begun_anew} times; {MOST_ANEW} leave the errors bounded",
        )
    for guard in seen.guards:
        if guard.finding:
            yield _Block(Decision.UNKNOWN if guard.value is None else Decision.HOLD, guard.finding)
    if seen.splits_otherwise:
        yield _Block(Decision.HOLD, of_mismatch(reading, seen.ln_e_mismatch or 0))
    yield from _not_yet(seen, reading, plan)


def _not_yet(seen: Judgement, reading: Reading, plan: Plan) -> Iterator[_Block]:
    least = plan.bake_seconds if reading.baking else plan.minimum_seconds
    if seen.at - seen.begun_at < least:
        yield _Block(Decision.HOLD, f"{seconds(seen.at - seen.begun_at)} of at least {seconds(least)} are over")
    if seen.too_little:
        yield _Block(Decision.HOLD, of_too_little(seen.users_missing, seen.deadline_at - seen.at), by_word=True)
    users = reading.on.users.value
    if users is not None and users < plan.minimum_users:
        yield _Block(Decision.HOLD, f"{users:g} of at least {plan.minimum_users} exposed users came", by_word=True)
    for each in seen.weighed:
        if not each.proved:
            yield _Block(Decision.HOLD, of_unproved(each, plan), by_word=not each.leans_to_harm)
