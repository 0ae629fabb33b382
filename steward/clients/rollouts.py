"""Rollouts in Steward's own database: each change holds the row, obeys `steward.rollout.state`, and is its caller's transaction.

A lease is a matter of the database's clock. Raises of all that change one: `steward.rollout.errors`, and NoRollout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from steward.clients import roll_backs
from steward.clients.postgres import Connection
from steward.rollout import state
from steward.rollout.decision import Decision
from steward.rollout.errors import RolloutEnded
from steward.rollout.plan import Plan
from steward.rollout.record import NoRollout, Rollout, RolloutUnderWay
from steward.rollout.state import Claim, Passed, Standing, State

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

    Raises RolloutUnderWay, also where the environment is on its way back to another release; RolloutEnded where the operation
    was begun anew, for an operation has one rollout.
    """
    roll_backs.hold(db, environment)
    if entered := _rows(db, "WHERE operation_id = %(operation_id)s", {"operation_id": operation_id}):
        _refuse_anew(db, entered[0], epoch)
        return entered[0]
    roll_backs.refuse_beside(db, environment)
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


def _refuse_anew(db: Connection, entered: Rollout, epoch: int) -> None:
    """That *epoch* goes on with what its own round has begun: another round began with the first step again."""
    if not db.execute(_IS_ANEW, {"was": entered.epoch, "now": epoch}).fetchone():
        return
    if entered.ended_at is None:
        refuse_beside(entered)
    told = f"{entered.state}, {entered.who}: {entered.why}" if entered.who else entered.state
    raise RolloutEnded(
        f"rollout {entered.id} of this operation has ended ({told}); nothing was touched",
        hint="start a new run of production-rollout: each is a rollout of its own",
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
    """Act for it from now on as *epoch*; an older attempt can change nothing from then on. It renews no lease."""
    return _move(db, rollout.id, lambda row, now: state.take_over(row, Claim(epoch, now)))


def renew(db: Connection, rollout: Rollout) -> Rollout:
    """A whole lease from now; while it is prepared it has longer."""
    return _move(
        db, rollout.id, lambda row, now: _longer(row, state.renew(row, rollout.plan, Claim(rollout.epoch, now)))
    )


def go_on(db: Connection, rollout: Rollout) -> Rollout:
    """To the plan's next step, or to the bake after the last; with a whole lease. What it leaves was passed."""
    passed, is_last = _passed(db, rollout), rollout.plan.following(rollout.exposure) is None
    move = state.bake if is_last else state.expose
    return _move(db, rollout.id, lambda row, now: move(row, rollout.plan, Claim(rollout.epoch, now), passed))


def certify(db: Connection, rollout: Rollout) -> Rollout:
    """It has proved itself, and ended."""
    passed = _passed(db, rollout)
    return _move(db, rollout.id, lambda row, now: state.certify(row, Claim(rollout.epoch, now), passed))


def begin_withdrawal(db: Connection, rollout_id: int, who: str, why: str) -> Rollout:
    """From here nobody can expose it. Whoever withdraws it first is named. Raises RolloutEnded."""
    return _move(db, rollout_id, lambda row, _now: state.withdraw(row, who, why))


def end_withdrawal(db: Connection, rollout_id: int) -> Rollout:
    """The traffic is back where it was."""
    return _move(db, rollout_id, lambda row, _now: state.rolled_back(row))


def freeze_slow(db: Connection, rollout: Rollout, slow_ms: float) -> Rollout:
    """What counts as slow, for the whole rollout; what was frozen first stands."""
    renew(db, rollout)
    db.execute(
        "UPDATE steward.rollouts SET slow_ms = coalesce(slow_ms, %s) WHERE id = %s AND epoch = %s",
        (slow_ms, rollout.id, rollout.epoch),
    )
    return read(db, rollout.id)


def _move(db: Connection, rollout_id: int, rule: Callable[[Standing, float], Standing]) -> Rollout:
    """What *rule* makes of the row, which is held until the transaction ends, and of the database's time.

    Raises NoRollout, and what the rule raises: then nothing is changed.
    """
    row = db.execute(_HOLD, [rollout_id]).fetchone()
    if row is None:
        return read(db, rollout_id)
    *columns, now = row
    before = Standing(**dict(zip(_RULED, columns, strict=True)))
    after = rule(before, now)
    if after != before:
        db.execute(_WRITE, {"id": rollout_id, **after.model_dump(mode="json")})
    return read(db, rollout_id)


def _longer(before: Standing, after: Standing) -> Standing:
    return after if after.lease_until > before.lease_until else before


def _passed(db: Connection, rollout: Rollout) -> Passed | None:
    """What is recorded of the step at which it is: the last look let it go on, and a person, if any did."""
    baking = rollout.state is State.BAKING
    row = db.execute(_PASSED, {"id": rollout.id, "step": rollout.step, "baking": baking}).fetchone()
    return Passed(rollout.step, approved=row[1]) if row and row[0] == Decision.GO.value else None


def _rows(db: Connection, where: LiteralString, values: Mapping[str, Any]) -> list[Rollout]:
    with db.cursor(row_factory=dict_row) as cursor:
        return [Rollout.model_validate(row) for row in cursor.execute(_READ + where, values).fetchall()]


_READ = """
SELECT id, operation_id, environment, release, flag, variant, plan, state, step, exposure, step_begun_at,
       epoch, extract(epoch FROM lease)::float8 AS lease_seconds, lease_until,
       extract(epoch FROM lease_until - clock_timestamp())::float8 AS lease_left,
       colour, previous_colour, previous_release, slow_ms, who, why, withdrawn_at, begun_at, exposed_at, ended_at
  FROM steward.rollouts
"""

_BEGIN = """
INSERT INTO steward.rollouts (operation_id, epoch, environment, release, flag, variant, plan, lease, lease_until,
                              colour, previous_colour, previous_release)
VALUES (%(operation_id)s, %(epoch)s, %(environment)s, %(release)s, %(flag)s, %(variant)s, %(plan)s, %(lease)s,
        clock_timestamp() + %(preparing)s::interval, %(colour)s, %(previous_colour)s, %(previous_release)s)
ON CONFLICT (operation_id) DO NOTHING
"""

_IS_ANEW = """
SELECT 1 FROM steward.operation_attempts was, steward.operation_attempts now
 WHERE was.token = %(was)s AND now.token = %(now)s AND was.operation_id = now.operation_id AND was.round < now.round
"""

_RULED = ("state", "step", "exposure", "epoch", "lease_until", "who", "why")

_HOLD = """
SELECT state, step, exposure, epoch, extract(epoch FROM lease_until)::float8, who, why,
       extract(epoch FROM clock_timestamp())::float8
  FROM steward.rollouts WHERE id = %s FOR UPDATE
"""

_WRITE = """
UPDATE steward.rollouts
   SET state = %(state)s, step = %(step)s, exposure = %(exposure)s, epoch = %(epoch)s,
       lease_until = to_timestamp(%(lease_until)s), who = %(who)s, why = %(why)s,
       step_begun_at = CASE WHEN step = %(step)s AND state = %(state)s THEN step_begun_at ELSE clock_timestamp() END,
       exposed_at = coalesce(exposed_at, CASE WHEN %(exposure)s > 0 THEN clock_timestamp() END),
       withdrawn_at = coalesce(withdrawn_at, CASE WHEN %(state)s = 'withdrawing' THEN clock_timestamp() END),
       ended_at = CASE WHEN %(state)s IN ('certified', 'rolled_back') THEN clock_timestamp() END
 WHERE id = %(id)s
"""

_PASSED = """
SELECT j.decision,
       EXISTS (SELECT FROM steward.rollout_decisions d
                WHERE d.rollout = j.rollout AND d.step = j.step AND d.decision = 'approve')
  FROM steward.rollout_judgements j
 WHERE j.rollout = %(id)s AND j.step = %(step)s AND (j.judgement ->> 'baking')::boolean = %(baking)s
 ORDER BY j.id DESC LIMIT 1
"""
