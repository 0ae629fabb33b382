"""What a rollout's page says, in words."""

from __future__ import annotations

import datetime as dt

from steward.clients.rollouts_shown import ShownPage, ShownRollout
from steward.rollout.glance import Glance

#: How good what is said is: of states, and of a judgement's decisions.
TONES = {
    "certified": "good",
    "rolled_back": "bad",
    "withdrawing": "bad",
    "GO": "good",
    "ROLL_BACK": "bad",
}
_DECIDED = {"GO": "goes on", "HOLD": "not decided yet", "ROLL_BACK": "rolled back", "UNKNOWN": "cannot be judged"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def state(rollout: ShownRollout) -> str:
    """One or two words."""
    return "taken back" if rollout.revoked_at else rollout.state.replace("_", " ")


def tone(rollout: ShownRollout) -> str:
    """How good that is."""
    return "bad" if rollout.revoked_at else TONES.get(rollout.state, "wait")


def headline(rollout: ShownRollout, last: Glance | None) -> str:
    """Where it is, in one sentence; while it exposes users, what the judge says, too."""
    match rollout.state:
        case "preparing":
            return f"{rollout.release} is being put up on {rollout.colour}; nobody has it yet"
        case "withdrawing":
            return f"Taken back by {rollout.who}: nobody has it any more, and the traffic is on its way back"
        case "certified":
            if rollout.revoked_at:
                return (
                    f"It had proved itself, and was taken back at {moment(rollout.revoked_at)}: nobody has it any more"
                )
            return "It has proved itself; everybody has it"
        case "rolled_back":
            return f"Taken back by {rollout.who}: nobody has it any more"
        case _:
            return _exposing(rollout, last)


def _exposing(rollout: ShownRollout, last: Glance | None) -> str:
    if rollout.lease_left <= 0:
        return "Its lease is over, so nobody has it any more; the guardian gives the traffic back"
    who = "Everybody has it" if rollout.state == "baking" else f"{rollout.exposure:g} % of users have it"
    if last is None or last.stage != (rollout.step, rollout.state == "baking"):
        return f"{who}; it was not looked at yet"
    if last.decision == "HOLD" and rollout.state == "baking":
        return f"{who}; it is watched for a while longer"
    return f"{who}; {decided(last.decision)}"


def word_wanted(page: ShownPage, last: Glance | None) -> str:
    """The word of a person that it waits for, `approve` or `override`; empty: it waits for none."""
    rollout = page.rollout
    if rollout.state not in {"exposing", "baking"} or rollout.lease_left <= 0 or last is None:
        return ""
    said = {each.decision for each in page.decisions if each.step == rollout.step}
    if last.too_little and "override" not in said:
        return "override"
    asks = last.decision == "GO" and not last.baking and last.exposure in (rollout.plan.get("approvals") or [])
    return "approve" if asks and "approve" not in said else ""


def waits_for(page: ShownPage, last: Glance | None) -> str:
    """Whom it waits for; empty: for nobody."""
    wanted = word_wanted(page, last)
    if wanted == "override" and last:
        missing = f"{last.users_missing:,} users are missing" if last.users_missing else "too few users come"
        return f"It waits for a person: {missing} for a proof before the deadline, and only an override lets it go on."
    return "It waits for a person: this step is proved, and its plan wants an approval." if wanted else ""


def decided(decision: str) -> str:
    """A judgement's decision."""
    return _DECIDED.get(decision, decision)


def duration(seconds: float) -> str:
    """No finer than anybody would read it."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.1f} days"


def moment(at: dt.datetime | None, *, seconds: bool = False) -> str:
    """In UTC."""
    if at is None:
        return ""
    return f"{at.astimezone(dt.UTC):{'%d %b %H:%M:%S' if seconds else '%d %b %H:%M'}}"


def per_cent(share: float) -> str:
    """Three digits tell shares apart."""
    return f"{100 * share:.3g} %"
