"""Who is exposed: the rollout's row and its flag, moved together in the transaction of the caller.

Both have the lease. SDKs go by the flag's, which is cut to whole seconds: users are back when the row says so, or before.
"""

from __future__ import annotations

from steward.clients import rollouts
from steward.clients.flag_errors import LeaseExpired, LeaseFenced
from steward.clients.flag_store import StoredFlag, change_flag, kill_flag, read_flag, renew_lease
from steward.clients.postgres import Connection
from steward.flags.model import Flag
from steward.rollout.plan import EVERYBODY
from steward.rollout.record import FlagTaken, LeaseLost, Rollout, Stage


def take_flag(db: Connection, rollout: Rollout) -> Rollout:
    """The flag is this rollout's, and off for everybody: from here its users are counted, and nobody is exposed.

    A flag that a rollout left killed comes to life by it; one that a person killed was refused before.
    """
    now = rollouts.renew(db, rollout)
    stored = read_flag(db, now.flag)
    # Only what is not killed may be taken a second time: this is what an earlier attempt has done.
    flag = stored.flag.changed(killed=False, lease_until=None).exposing(0, now.variant)
    _change(db, now, stored, flag.changed(metadata=_metadata(now, stored.flag)), "takes the flag")
    return now


def expose(db: Connection, rollout: Rollout, step: int) -> Rollout:
    """Be at *step* of the plan, from 1, for a whole lease. Raises LeaseLost, RolloutWithdrawn, FlagTaken."""
    exposure = rollout.plan.steps[step - 1]
    now = rollouts.go_to(db, rollout, Stage.EXPOSING, step, exposure)
    stored = _ours(db, now)
    flag = stored.flag.exposing(exposure, now.variant).changed(lease_until=_until(now))
    _change(db, now, stored, flag.changed(metadata=_metadata(now, stored.flag)), f"step {step}: {exposure} %")
    return now


def begin_bake(db: Connection, rollout: Rollout) -> Rollout:
    """Everybody stays exposed; only time is to pass. Raises LeaseLost, RolloutWithdrawn, FlagTaken."""
    now = rollouts.go_to(db, rollout, Stage.BAKING, rollout.step, EVERYBODY)
    _ours(db, now)
    renew_lease(db, now.flag, _until(now), now.epoch)
    return now


def renew(db: Connection, rollout: Rollout) -> Rollout:
    """A whole lease from now. Raises LeaseLost, RolloutWithdrawn, FlagTaken."""
    now = rollouts.renew(db, rollout)
    _ours(db, now)
    try:
        renew_lease(db, now.flag, _until(now), now.epoch)
    except (LeaseExpired, LeaseFenced) as lost:
        raise LeaseLost(lost.message, hint=lost.hint) from lost
    return now


def keep_for_good(db: Connection, rollout: Rollout) -> Rollout:
    """Certified: everybody has it, and no lease ends that. Raises LeaseLost, RolloutWithdrawn, FlagTaken."""
    stored = _ours(db, rollout)
    now = rollouts.end_certified(db, rollout)
    flag = stored.flag.exposing(EVERYBODY, now.variant).changed(lease_until=None)
    _change(db, now, stored, flag.changed(metadata=_without_rollout(flag)), "certified")
    return now


def take_off(db: Connection, rollout_id: int, who: str, why: str) -> Rollout:
    """The flag's off variant for everybody, and nobody can expose it any more; on one that has ended, nothing changes."""
    now = rollouts.begin_withdrawal(db, rollout_id, who, why)
    if now.state is Stage.WITHDRAWING:
        kill_flag(db, now.flag, who=named(now), why=f"withdrawn by {now.who}: {now.why}"[:2000])
    return now


def named(rollout: Rollout) -> str:
    """How the flag's history calls it."""
    return f"rollout {rollout.id}"


def variant_of(flag: Flag, wanted: str) -> str:
    """The variant to expose: *wanted*, or the only one beside the off variant. Raises FlagTaken."""
    others = [name for name in flag.variants if name != flag.off]
    if wanted in others:
        return wanted
    if wanted or len(others) != 1:
        raise FlagTaken(
            f"flag {flag.key} has the variants {', '.join(flag.variants)}, {flag.off} being the off one; "
            f"asked for: {wanted or 'none by name'}",
            hint=f"name one of {', '.join(others) or 'a flag that has another variant'}",
        )
    return others[0]


def _ours(db: Connection, rollout: Rollout) -> StoredFlag:
    """The flag as this rollout left it. Raises FlagTaken where a person, or another, has changed it since."""
    stored = read_flag(db, rollout.flag)
    if stored.flag.killed:
        raise FlagTaken(
            f"flag {rollout.flag} was killed while {rollout} exposed users by it",
            hint="its history says who did so and why",
        )
    if stored.flag.metadata.get("rollout") != str(rollout.id) or stored.epoch > rollout.epoch:
        raise FlagTaken(f"flag {rollout.flag} is no longer of {rollout}", hint="its history says whose it is")
    return stored


def _change(db: Connection, rollout: Rollout, stored: StoredFlag, flag: Flag, why: str) -> None:
    try:
        change_flag(db, flag, who=named(rollout), why=why, expected_version=stored.version, epoch=rollout.epoch)
    except (LeaseExpired, LeaseFenced) as lost:
        raise LeaseLost(lost.message, hint=lost.hint) from lost


def _until(rollout: Rollout) -> int:
    return int(rollout.lease_until.timestamp())


def _metadata(rollout: Rollout, flag: Flag) -> dict[str, str | float | bool]:
    told: dict[str, str | float | bool] = {"rollout": str(rollout.id), "step": rollout.step}
    if rollout.slow_ms:
        told["slow_ms"] = rollout.slow_ms
    return {**_without_rollout(flag), **told}


def _without_rollout(flag: Flag) -> dict[str, str | float | bool]:
    return {key: value for key, value in flag.metadata.items() if key not in ("rollout", "step", "slow_ms")}
