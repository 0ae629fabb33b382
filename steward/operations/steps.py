"""Steps: the intent is written before the effect and the result after it, both only while the token is current.

What this cannot do is stop a call that left the process before it lost the operation: see docs/effects.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from steward.operations.claims import refusal
from steward.operations.errors import (
    DeadlinePassed,
    EffectRefused,
    InDoubt,
    Refused,
    StepChanged,
    StepRepeated,
    TurnedBack,
)
from steward.operations.holding import Holding, current, guard
from steward.operations.ledger import Row
from steward.operations.values import digest_of, to_json

T = TypeVar("T")

_LONGEST_ERROR = 2000


class Kind(StrEnum):
    """When a step runs, and whether its recorded result stands for it."""

    ONCE = "once"
    """Forward: not after the deadline, not once the operation is turned back. Done, it gives its result."""
    ALWAYS = "always"
    """A clean-up or a reading: recorded, and never taken as done."""
    UNDO = "undo"
    """A compensation: only while the operation is turned back. Done, it is not done again."""
    CLOSING = "closing"
    """Verdict and evidence: as `once`, after the deadline and after turning back too."""


class Doubt(StrEnum):
    """What to do about a step that an earlier try began and did not record as done."""

    AGAIN = "again"
    """Its body reads the actual state and moves it to the desired one."""
    STOP = "stop"
    """Nothing tells whether it happened: a person decides."""


@dataclass(frozen=True)
class Step(Generic[T]):
    """One call of a step: its name, what tells its calls apart, and its two ways to act."""

    name: str
    body: Callable[[], T]
    key: str = ""
    inputs: object = None
    caller: str = ""
    """Whose call it is: the same through all tries of one call."""
    kind: Kind = Kind.ONCE
    find: Callable[[], T | None] | None = None
    """Look the effect up by its marker, before a second try makes it again."""
    doubt: Doubt = Doubt.AGAIN
    decode: Callable[[Any], T] = lambda value: value

    @property
    def is_exact(self) -> bool:
        """Whether a second try must have the arguments of the first: its effect may be there already, under those.

        A body that moves the actual state to the desired one may be told another state to move it to.
        """
        return self.find is not None or self.doubt is Doubt.STOP

    def __str__(self) -> str:
        return f"{self.name} ({self.key})" if self.key else self.name


@dataclass(frozen=True)
class Place:
    """The step at work, for what it notes of its effects."""

    name: str
    key: str
    tries: int = 0
    """From 1, over all attempts of the round: what one try names, the next does not name again."""


_place: ContextVar[Place] = ContextVar("step")


def current_step() -> Place:
    """The step at work; its own name is empty between steps."""
    return _place.get(Place("", ""))


def recorded(name: str, key: str = "") -> Row | None:
    """The row of a step that is done in this round, `result` in it; None: it is not done."""
    held = current()
    rows = held.ledger.query(_RECORDED, name=name, key=key, **held.operation.keys)
    return rows[0] if rows else None


def run_step(step: Step[T]) -> T:
    """Do the step, or give the result that is recorded of it.

    Raises Superseded, TurnedBack, DeadlinePassed, StepChanged, InDoubt; and what its body raises, which is recorded
    for people: whether its effect happened stays in doubt, unless the body raises EffectRefused.
    """
    held = current()
    where = {**held.operation.keys, "name": step.name, "key": step.key}
    digest = digest_of(step.inputs)
    (row,) = held.ledger.query(
        _INTENT, kind=step.kind, inputs=digest, call=uuid.uuid4(), caller=step.caller, exact=step.is_exact, **where
    )
    _refuse(held, step, row, digest)
    if row["state"] == "done" and step.kind is not Kind.ALWAYS:
        return step.decode(row["result"])
    token = _place.set(Place(step.name, step.key, (row["tries"] or 0) + 1))
    try:
        result = _act(held, step, row)
    except Refused:
        raise
    except Exception as error:
        state = "refused" if isinstance(error, EffectRefused) else "intended"
        _record(held, where, state, error=f"{type(error).__name__}: {error}")
        raise
    finally:
        _place.reset(token)
    _record(held, where, "done", result=result)
    return result


def _refuse(held: Holding, step: Step[Any], row: Row, digest: str) -> None:
    if not row["held"]:
        raise refusal(held.ledger, held.operation)
    repeated = row["state"] is not None and step.kind is not Kind.ALWAYS
    if repeated and row["inputs"] != digest and (row["state"] == "done" or step.is_exact):
        raise StepChanged(
            f"step {step} of {held.operation} was recorded with other arguments",
            hint="go on with the code and parameters it began with, or begin another round: "
            f"`python -m steward.operations reopen {held.operation.id} --anew`",
        )
    if repeated and row["state"] == "done":
        if row["token"] == held.operation.token and row["caller"] != step.caller:
            raise StepRepeated(
                f"step {step} was called twice in one attempt at {held.operation}",
                hint="give the step a key that tells its calls apart, or make it kind `always`",
            )
        return
    if row["intended"]:
        return
    if step.kind is Kind.UNDO:
        raise TurnedBack(f"undo step {step} of {held.operation} outside of turning back", hint="mend the flow")
    if row["turned_back"]:
        raise TurnedBack(f"{held.operation} is turned back ({row['turned_back']}); step {step} is not begun")
    raise DeadlinePassed(
        f"{held.operation} is past its deadline of {row['deadline']:%Y-%m-%d %H:%M:%S %Z}; step {step} is not begun",
        hint="a new run has all the time again, and goes on at this step",
    )


def _act(held: Holding, step: Step[T], row: Row) -> T:
    begun_before = row["state"] == "intended" and not row["resent"]
    if begun_before and step.kind is not Kind.ALWAYS:
        guard()
        if step.find and (found := step.find()) is not None:
            return found
        if step.doubt is Doubt.STOP:
            raise InDoubt(
                f"step {step} of {held.operation} was begun at {row['intended_at']:%Y-%m-%d %H:%M:%S %Z}, "
                "and nothing tells whether its effect happened",
                hint="look at the other side, then say what you found: "
                f"`python -m steward.operations resolve {held.operation.id} {step.name} --help`",
            )
    guard()
    return step.body()


def _record(held: Holding, where: Row, state: str, *, result: object = None, error: str | None = None) -> None:
    verdict = getattr(result, "verdict", None)
    written = held.ledger.query(
        _OUTCOME,
        state=state,
        result=to_json(result),
        verdict=str(verdict) if verdict is not None else None,
        error=error and error[:_LONGEST_ERROR],
        **where,
    )
    if not written:
        raise refusal(held.ledger, held.operation)


# One statement, so one round trip. Sharing the operation's row keeps a claim out until the intent stands.
_INTENT = """
WITH mine AS (
    SELECT id, turned_back, deadline, coalesce(deadline < clock_timestamp(), false) AS late
      FROM steward.operations WHERE id = %(id)s AND token = %(token)s AND state = 'running' FOR SHARE
), before AS (
    SELECT * FROM steward.operation_steps
     WHERE operation_id = %(id)s AND round = %(round)s AND name = %(name)s AND key = %(key)s
), intent AS (
    INSERT INTO steward.operation_steps AS s (operation_id, round, name, key, kind, token, call, caller, inputs)
    SELECT id, %(round)s, %(name)s, %(key)s, %(kind)s, %(token)s, %(call)s, %(caller)s, %(inputs)s FROM mine
     WHERE CASE %(kind)s::text WHEN 'once' THEN turned_back IS NULL AND NOT late
                         WHEN 'undo' THEN turned_back IS NOT NULL ELSE true END
    ON CONFLICT (operation_id, round, name, key) DO UPDATE
       SET tries = s.tries + 1, token = excluded.token, call = excluded.call, caller = excluded.caller, state = 'intended', error = NULL,
           intended_at = clock_timestamp(), inputs = excluded.inputs
     WHERE s.state <> 'done' AND (s.inputs = excluded.inputs OR NOT %(exact)s) OR s.kind = 'always'
    RETURNING 1
)
SELECT (SELECT id FROM mine) IS NOT NULL AS held, (SELECT turned_back FROM mine) AS turned_back,
       (SELECT late FROM mine) AS late, (SELECT deadline FROM mine) AS deadline,
       EXISTS (SELECT FROM intent) AS intended,
       before.state, before.inputs, before.result, before.intended_at, before.token, before.caller, before.tries, before.call = %(call)s AS resent
  FROM (VALUES (1)) AS one LEFT JOIN before ON true
"""

_RECORDED = """
SELECT * FROM steward.operation_steps
 WHERE operation_id = %(id)s AND round = %(round)s AND name = %(name)s AND key = %(key)s AND state = 'done'
"""

_OUTCOME = """
WITH mine AS (
    SELECT id FROM steward.operations WHERE id = %(id)s AND token = %(token)s AND state = 'running' FOR SHARE
)
UPDATE steward.operation_steps
   SET state = %(state)s, result = %(result)s, verdict = %(verdict)s, error = %(error)s,
       done_at = CASE WHEN %(state)s = 'done' THEN clock_timestamp() END
 WHERE operation_id = (SELECT id FROM mine) AND round = %(round)s AND name = %(name)s AND key = %(key)s
   AND token = %(token)s
RETURNING 1 AS written
"""
