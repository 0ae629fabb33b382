"""Who is exposed: the rollout's row and its flag, moved together in the transaction of the caller.

Both have the lease. SDKs go by the flag's, which is cut to whole seconds: users are back when the row says so, or before.
Raises of all of them: `steward.rollout.errors`, FlagTaken, and what the store of flags raises.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from steward.clients import flag_errors, rollouts
from steward.clients.flag_store import (
    FlagVersion,
    StoredFlag,
    change_flag,
    flag_history,
    kill_flag,
    read_flag,
    renew_lease,
)
from steward.clients.postgres import Connection
from steward.flags.model import Flag
from steward.rollout.errors import LeaseExpired, NewerAttempt
from steward.rollout.plan import EVERYBODY
from steward.rollout.record import FlagTaken, Rollout
from steward.rollout.state import State

#: How the history of a flag calls whoever changes it as a rollout.
_ROLLOUT = "rollout "


def take_flag(db: Connection, rollout: Rollout) -> Rollout:
    """The flag is this rollout's, and off for everybody: from here its users are counted, and nobody is exposed.

    A flag that a rollout left killed comes to life by it; one that a person killed does not, also where they did so while
    the release was put up.
    """
    now = rollouts.renew(db, rollout)
    stored = read_flag(db, now.flag)
    # What an earlier attempt has taken is alive and exposes nobody: it passes, unless a person killed it since.
    require_free(stored, flag_history(db, now.flag)[0])
    flag = stored.flag.changed(killed=False, lease_until=None).exposing(0, now.variant)
    _change(db, now, stored, flag.changed(metadata=_metadata(now, stored.flag)), "takes the flag")
    return now


def go_on(db: Connection, rollout: Rollout) -> Rollout:
    """To the plan's next step, or to the bake after the last, for a whole lease."""
    now = rollouts.go_on(db, rollout)
    stored = _ours(db, now)
    flag = stored.flag.exposing(now.exposure, now.variant).changed(lease_until=_until(now))
    step = "bake" if now.state is State.BAKING else f"step {now.step}: {now.exposure} %"
    _change(db, now, stored, flag.changed(metadata=_metadata(now, stored.flag)), step)
    return now


def renew(db: Connection, rollout: Rollout) -> Rollout:
    """A whole lease from now."""
    now = rollouts.renew(db, rollout)
    _ours(db, now)
    with _as_rollout():
        renew_lease(db, now.flag, _until(now), now.epoch)
    return now


def keep_for_good(db: Connection, rollout: Rollout) -> Rollout:
    """Certified: everybody has it, and no lease ends that."""
    now = rollouts.certify(db, rollout)
    stored = _ours(db, now)
    flag = stored.flag.exposing(EVERYBODY, now.variant).changed(lease_until=None)
    _change(db, now, stored, flag.changed(metadata=_without_rollout(flag)), "certified")
    return now


def take_off(db: Connection, rollout_id: int, who: str, why: str) -> Rollout:
    """The flag's off variant for everybody, and nobody can expose it any more. Raises RolloutEnded."""
    now = rollouts.begin_withdrawal(db, rollout_id, who, why)
    kill_flag(db, now.flag, who=named(now), why=f"withdrawn by {now.who}: {now.why}"[:2000])
    return now


def named(rollout: Rollout) -> str:
    """How the flag's history calls it."""
    return f"{_ROLLOUT}{rollout.id}"


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


def require_free(stored: StoredFlag, newest: FlagVersion) -> None:
    """That a rollout may take the flag. Raises FlagTaken: who has it would lose it, or a person wants it off."""
    flag = stored.flag
    if flag.killed and not newest.who.startswith(_ROLLOUT):
        raise FlagTaken(
            f"{newest.who} killed flag {flag.key}: {newest.why}",
            hint="ask them; once it may be on again, restore the version before that, at no exposure",
        )
    if not flag.killed and flag.split and flag.split.exposure_percent:
        raise FlagTaken(
            f"flag {flag.key} exposes {flag.split.exposure_percent:g} % of users already ({flag.split}): they would lose it",
            hint="give each release a flag of its own, or take this one to 0 first",
        )


def _ours(db: Connection, rollout: Rollout) -> StoredFlag:
    """The flag as this rollout left it. Raises FlagTaken where a person, or another, has changed it since."""
    stored = read_flag(db, rollout.flag)
    if stored.flag.killed:
        newest = flag_history(db, rollout.flag)[0]
        raise FlagTaken(
            f"{newest.who} killed flag {rollout.flag} while {rollout} exposed users by it: {newest.why}",
            hint="ask them; the flag's history has all of it",
        )
    if stored.flag.metadata.get("rollout") != str(rollout.id) or stored.epoch > rollout.epoch:
        raise FlagTaken(f"flag {rollout.flag} is no longer of {rollout}", hint="its history says whose it is")
    return stored


def _change(db: Connection, rollout: Rollout, stored: StoredFlag, flag: Flag, why: str) -> None:
    with _as_rollout():
        try:
            change_flag(db, flag, who=named(rollout), why=why, expected_version=stored.version, epoch=rollout.epoch)
        except flag_errors.FlagChangedMeanwhile as changed:
            # Between the reading above and this: the rollout's own attempts wait for its row.
            raise FlagTaken(changed.message, hint="its history says who changed it, and why") from changed


@contextmanager
def _as_rollout() -> Generator[None]:
    """The flag's lease is cut to whole seconds, so it may be over a moment before the row's is."""
    try:
        yield
    except flag_errors.LeaseExpired as lost:
        raise LeaseExpired(lost.message, hint=lost.hint) from lost
    except flag_errors.LeaseFenced as fenced:
        raise NewerAttempt(fenced.message, hint=fenced.hint) from fenced


def _until(rollout: Rollout) -> int:
    return int(rollout.lease_until.timestamp())


def _metadata(rollout: Rollout, flag: Flag) -> dict[str, str | float | bool]:
    told: dict[str, str | float | bool] = {"rollout": str(rollout.id), "step": rollout.step}
    if rollout.slow_ms:
        told["slow_ms"] = rollout.slow_ms
    return {**_without_rollout(flag), **told}


def _without_rollout(flag: Flag) -> dict[str, str | float | bool]:
    return {key: value for key, value in flag.metadata.items() if key not in ("rollout", "step", "slow_ms")}
