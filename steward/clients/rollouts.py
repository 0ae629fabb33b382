"""Rollouts in Steward's own database: each change of one is a transaction of its caller's, fenced by the rollout's epoch.

A lease is a matter of the database's clock. An expired one is never renewed: by then users may have been told to go back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from steward.clients.postgres import Connection
from steward.rollout.plan import Plan
from steward.rollout.record import LeaseLost, NoRollout, Rollout, RolloutUnderWay, RolloutWithdrawn, Stage

#: What a session listens to that wants to know of changes; the payload is the rollout's id.
CHANNEL = "rollouts"
#: So long a release may take to be put up, warmed and given the traffic, before anybody sees it.
PREPARING_SECONDS = 900


def begin(
    db: Connection,
    *,
    operation_id: int,
    epoch: int,
    environment: str,
    release: str,
    flag: str,
    variant: str,
    plan: Plan,
    colours: tuple[str, str],
    previous_release: str | None,
) -> Rollout:
    """Enter the rollout of *release* on the first of *colours*, the second having the traffic; or find it entered.

    Raises RolloutUnderWay.
    """
    values = {
        "operation_id": operation_id,
        "epoch": epoch,
        "environment": environment,
        "release": release,
        "flag": flag,
        "variant": variant,
        "plan": Jsonb(plan.model_dump(mode="json")),
        "lease": f"{plan.lease_seconds} s",
        "preparing": f"{PREPARING_SECONDS} s",
        "colour": colours[0],
        "previous_colour": colours[1],
        "previous_release": previous_release,
    }
    try:
        with db.transaction():
            db.execute(_BEGIN, values)
    except psycopg.errors.UniqueViolation:
        other = under_way(db, environment)
        refuse_beside(other)
    (found,) = _rows(db, "WHERE operation_id = %(operation_id)s", values)
    return found


def refuse_beside(other: Rollout | None) -> None:
    """Raises RolloutUnderWay if there is another."""
    if other is not None:
        raise RolloutUnderWay(
            f"{other} is under way since {other.begun_at:%Y-%m-%d %H:%M %Z}: {other.state} at {other.exposure} %",
            hint=f"wait for its end, or roll it back: python -m steward rollout roll-back {other.environment}",
        )


def read(db: Connection, rollout_id: int) -> Rollout:
    """As it is now. Raises NoRollout."""
    rows = _rows(db, "WHERE id = %(id)s", {"id": rollout_id})
    if not rows:
        raise NoRollout(f"there is no rollout {rollout_id}", hint="see: python -m steward rollout list")
    return rows[0]


def under_way(db: Connection, environment: str) -> Rollout | None:
    """The one that has not ended."""
    return next(iter(_rows(db, "WHERE environment = %(in)s AND ended_at IS NULL", {"in": environment})), None)


def newest(db: Connection, environment: str | None = None, limit: int = 50) -> list[Rollout]:
    """Of all environments, or of one; the last begun first."""
    where = "WHERE environment = coalesce(%(in)s, environment) ORDER BY id DESC LIMIT %(limit)s"
    return _rows(db, where, {"in": environment, "limit": limit})


def to_withdraw(db: Connection) -> list[Rollout]:
    """Those whose lease is over, and those whose withdrawal was begun and not ended."""
    return _rows(
        db, "WHERE ended_at IS NULL AND (lease_until <= clock_timestamp() OR state = 'withdrawing') ORDER BY id", {}
    )


def take_up(db: Connection, rollout: Rollout, epoch: int) -> Rollout:
    """Act for it from now on as *epoch*, if its lease lives. Raises LeaseLost, RolloutWithdrawn."""
    if epoch < rollout.epoch:
        raise _refusal(rollout, rollout.model_copy(update={"epoch": epoch}))
    return _change(db, rollout, "epoch = %(new)s", {"new": epoch})


def renew(db: Connection, rollout: Rollout) -> Rollout:
    """A whole lease from now. Raises LeaseLost, RolloutWithdrawn."""
    return _change(db, rollout, _RENEW, {})


def freeze_slow(db: Connection, rollout: Rollout, slow_ms: float) -> Rollout:
    """What counts as slow, for the whole rollout; what was frozen first stands. Raises LeaseLost, RolloutWithdrawn."""
    return _change(db, rollout, "slow_ms = coalesce(slow_ms, %(slow_ms)s)", {"slow_ms": slow_ms})


def go_to(db: Connection, rollout: Rollout, stage: Stage, step: int, exposure: int) -> Rollout:
    """Be at *step* with *exposure* per cent, and with a whole lease. Raises LeaseLost, RolloutWithdrawn."""
    return _change(db, rollout, _GO_TO, {"state": stage.value, "step": step, "exposure": exposure})


def end_certified(db: Connection, rollout: Rollout) -> Rollout:
    """It has proved itself. Raises LeaseLost, RolloutWithdrawn."""
    return _change(db, rollout, "state = 'certified', ended_at = clock_timestamp()", {})


def begin_withdrawal(db: Connection, rollout_id: int, who: str, why: str) -> Rollout:
    """From here nobody can expose it. Whoever withdraws it first is named; on one that has ended, nothing changes."""
    db.execute(_WITHDRAW, {"id": rollout_id, "who": who, "why": why})
    return read(db, rollout_id)


def end_withdrawal(db: Connection, rollout_id: int) -> Rollout:
    """The traffic is back where it was."""
    db.execute(_WITHDRAWN, {"id": rollout_id})
    return read(db, rollout_id)


def _change(db: Connection, rollout: Rollout, change: LiteralString, values: Mapping[str, Any]) -> Rollout:
    keys = {"id": rollout.id, "epoch": rollout.epoch}
    if db.execute(_CHANGE + change + _IF_HELD, {**keys, **values}).rowcount:
        return read(db, rollout.id)
    raise _refusal(read(db, rollout.id), rollout)


def _refusal(now: Rollout, before: Rollout) -> Exception:
    if now.state in (Stage.WITHDRAWING, Stage.ROLLED_BACK):
        return RolloutWithdrawn(f"{now} was withdrawn by {now.who}: {now.why}")
    if now.state is Stage.CERTIFIED:
        return RolloutWithdrawn(f"{now} is certified, and has ended")
    if now.epoch > before.epoch:
        return RolloutWithdrawn(f"{now} is held by a newer attempt (epoch {now.epoch}, this one has {before.epoch})")
    return LeaseLost(
        f"the lease of {now} was over at {now.lease_until:%H:%M:%S %Z}, {-now.lease_left:.1f} s ago, and is not renewed",
        hint="nothing to do: its users are back already; find out what stopped the run so long, then start a new one",
    )


def _rows(db: Connection, where: LiteralString, values: Mapping[str, Any]) -> list[Rollout]:
    with db.cursor(row_factory=dict_row) as cursor:
        return [Rollout.model_validate(row) for row in cursor.execute(_READ + where, values).fetchall()]


_READ = """
SELECT id, operation_id, environment, release, flag, variant, plan, state, step, exposure, step_begun_at,
       epoch, extract(epoch FROM lease)::float8 AS lease_seconds, lease_until,
       extract(epoch FROM lease_until - clock_timestamp())::float8 AS lease_left,
       colour, previous_colour, previous_release, slow_ms, who, why, begun_at, exposed_at, ended_at
  FROM steward.rollouts
"""

_BEGIN = """
INSERT INTO steward.rollouts (operation_id, epoch, environment, release, flag, variant, plan, lease, lease_until,
                              colour, previous_colour, previous_release)
VALUES (%(operation_id)s, %(epoch)s, %(environment)s, %(release)s, %(flag)s, %(variant)s, %(plan)s, %(lease)s,
        clock_timestamp() + %(preparing)s::interval, %(colour)s, %(previous_colour)s, %(previous_release)s)
ON CONFLICT (operation_id) DO NOTHING
"""

_CHANGE: LiteralString = "UPDATE steward.rollouts SET "

_IF_HELD: LiteralString = """
 WHERE id = %(id)s AND epoch = %(epoch)s AND lease_until > clock_timestamp()
   AND state IN ('preparing', 'exposing', 'baking')
"""

# Never shorter than it is: while it is prepared it has longer.
_RENEW: LiteralString = "lease_until = greatest(lease_until, clock_timestamp() + lease)"

_GO_TO: LiteralString = """
       state = %(state)s, step = %(step)s, exposure = %(exposure)s,
       step_begun_at = CASE WHEN step = %(step)s AND state = %(state)s THEN step_begun_at ELSE clock_timestamp() END,
       exposed_at = coalesce(exposed_at, CASE WHEN %(exposure)s > 0 THEN clock_timestamp() END),
       lease_until = clock_timestamp() + lease
"""

_WITHDRAW = """
UPDATE steward.rollouts SET state = 'withdrawing', exposure = 0, who = %(who)s, why = %(why)s
 WHERE id = %(id)s AND state IN ('preparing', 'exposing', 'baking')
"""

_WITHDRAWN = """
UPDATE steward.rollouts SET state = 'rolled_back', ended_at = clock_timestamp()
 WHERE id = %(id)s AND state = 'withdrawing'
"""
