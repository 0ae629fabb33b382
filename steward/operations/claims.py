"""Taking an operation, and giving it up: a token from a rising sequence, a lease by the database's clock."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from steward.operations.errors import AlreadyEnded, Held, Superseded
from steward.operations.ledger import Ledger, Row
from steward.operations.values import to_json
from steward.verdicts import Verdict

#: Attempts of one round that may die before a person is asked.
MOST_ATTEMPTS = 5
#: A claim waits out a dead holder's lease, and this much more.
_PATIENCE_BEYOND_LEASE_SECONDS = 5.0
_POLL_SECONDS = 0.5
_LONGEST_ERROR = 2000


@dataclass(frozen=True)
class Identity:
    """Which operation it is: *name* of *subject* for *period*; and what must not be worked on by two at once."""

    name: str
    subject: str = ""
    period: str = ""
    resource: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.subject, self.period) if part)

    @property
    def keys(self) -> Row:
        """The values of a statement that names it."""
        return {
            "name": self.name,
            "subject": self.subject,
            "period": self.period,
            "resource": self.resource or f"{self.name}/{self.subject}",
        }


@dataclass(frozen=True)
class Terms:
    """On what terms it is held. Seconds."""

    deadline_seconds: float | None = None
    max_attempts: int = MOST_ATTEMPTS
    wait_seconds: float | None = None
    """For a holder that may be dead; absent: as long as its lease can last."""
    queues: bool = True
    """Whether a run that came in vain for a resource is started when that is free; else it is refused."""


@dataclass(frozen=True)
class Run:
    """The flow run that claims, and how to make another one like it."""

    flow_run_id: str | None = None
    deployment_id: str | None = None
    parameters: Mapping[str, Any] | None = None
    asked_at: datetime | None = None
    """When it was to start, at the latest; absent: now. It does not repeat what ended after that."""


@dataclass(frozen=True)
class Operation:
    """A held operation. Plain values and no connection: it can be sent to another worker."""

    id: int
    name: str
    subject: str
    period: str
    round: int
    token: int
    attempt: int
    lease_seconds: float

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.subject, self.period) if part)

    @property
    def keys(self) -> Row:
        """The values of a statement that only the holder may make."""
        return {"id": self.id, "token": self.token, "round": self.round}


def claim(ledger: Ledger, identity: Identity, run: Run | None = None, terms: Terms | None = None) -> Operation:
    """Take the operation, or outwait a dead holder's lease.

    An operation that failed is taken up with its steps; one that concluded REFUTED or UNKNOWN, or was undone, begins
    another round, if another run asks for it after that. Raises Held, AlreadyEnded, and what `Ledger.query` raises.
    """
    run, terms = run or Run(), terms or Terms()
    lease = ledger.settings.operations.lease_seconds
    values: Row = {
        **identity.keys,
        "lease": f"{lease} s",
        "deadline": f"{terms.deadline_seconds} s" if terms.deadline_seconds is not None else None,
        "max_attempts": terms.max_attempts,
        "flow_run_id": run.flow_run_id,
        "deployment_id": run.deployment_id,
        "parameters": Jsonb(dict(run.parameters or {})),
        "asked_at": run.asked_at,
        "owner": f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
    }
    ledger.query(_ENTER, **values)
    patience = lease + _PATIENCE_BEYOND_LEASE_SECONDS if terms.wait_seconds is None else terms.wait_seconds
    give_up = time.monotonic() + patience
    while True:
        row, why = _take(ledger, identity, values)
        if row:
            return _operation(row)
        if time.monotonic() > give_up:
            if terms.queues:
                # A run that came in vain for a resource is not lost: it stands in the queue that the reaper works off.
                ledger.query(_QUEUE, **values)
            raise Held(f"{identity} is not begun: {why}", hint="see `python -m steward.operations list`")
        time.sleep(_POLL_SECONDS)


def _take(ledger: Ledger, identity: Identity, values: Row) -> tuple[Row | None, str]:
    try:
        if rows := ledger.query(_TAKE, **values):
            return rows[0], ""
    except psycopg.errors.UniqueViolation:
        (holder,) = ledger.query(_HOLDER, **values) or [{"named": "an operation that has just ended"}]
        return None, f"its resource {values['resource']} is held by {holder['named']}"
    (row,) = ledger.query(_READ, **values)
    if row["owner"] == values["owner"]:
        # The claim went through and its answer was lost.
        return row, ""
    if row["state"] != "running":
        raise _ended(identity, row)
    return None, f"attempt {row['attempt']}, run {row['flow_run_id']}, holds it until {row['lease_until']:%H:%M:%S %Z}"


def _ended(identity: Identity, row: Row) -> AlreadyEnded:
    verdict = Verdict(row["verdict"]) if row["verdict"] else None
    said = f"{row['state']} {verdict}" if verdict else row["state"]
    hints = {
        "done": "a new run of the same period begins another round, unless it is VERIFIED",
        "failed": "start a new run: it goes on at the step that failed",
    }
    reopen = f"`python -m steward.operations reopen {row['id']}` lets it run again"
    return AlreadyEnded(
        f"{identity} is {said} since {row['ended_at']:%Y-%m-%d %H:%M:%S %Z}, after {row['attempt']} attempts"
        + (f": {row['error']}" if row["error"] else ""),
        hint="nothing is left to do" if verdict is Verdict.VERIFIED else hints.get(row["state"], reopen),
        operation_id=row["id"],
        state=row["state"],
        verdict=verdict,
        result=row["result"],
        ended_at=row["ended_at"],
    )


def _operation(row: Row) -> Operation:
    return Operation(
        id=row["id"],
        name=row["name"],
        subject=row["subject"],
        period=row["period"],
        round=row["round"],
        token=row["token"],
        attempt=row["attempt"],
        lease_seconds=row["lease"].total_seconds(),
    )


def check(ledger: Ledger, operation: Operation) -> None:
    """Ask the ledger whether this token is still the current one. Raises Superseded."""
    if not ledger.query(_CURRENT, **operation.keys):
        raise refusal(ledger, operation)


def refusal(ledger: Ledger, operation: Operation) -> Superseded:
    """The error of a holder that is none any more; that it tried is recorded."""
    ledger.query(_REFUSED, **operation.keys)
    return Superseded(
        f"{operation}: token {operation.token} (attempt {operation.attempt}) is no longer current",
        hint="nothing to do: a newer attempt has taken over, or a person has ended it",
    )


@contextmanager
def turning_back(ledger: Ledger, operation: Operation, reason: object) -> Generator[None]:
    """Undo, once and for all attempts. Recorded before the first undo step, so no later attempt goes forward again."""
    if not ledger.query(_TURN_BACK, reason=str(reason)[:_LONGEST_ERROR], **operation.keys):
        raise refusal(ledger, operation)
    yield
    if not ledger.query(_UNDONE, **operation.keys):
        raise refusal(ledger, operation)


def conclude(ledger: Ledger, operation: Operation, verdict: Verdict | None, result: Any, error: str | None) -> None:
    """It ran to its end: `done`, or `undone` where it was turned back. Raises Superseded."""
    _leave(ledger, operation, "done", result=to_json(result), verdict=verdict, error=error)


def fail(ledger: Ledger, operation: Operation, error: str) -> None:
    """An error ended it before its end. A new run goes on at the step that failed. Raises Superseded."""
    _leave(ledger, operation, "failed", verdict=Verdict.UNKNOWN, error=error)


def wait(ledger: Ledger, operation: Operation, within_seconds: float) -> None:
    """It waits for a person, *within_seconds* at most: no process, no lease; its resource stays taken.

    Raises Superseded.
    """
    _leave(ledger, operation, "waiting", within_seconds=within_seconds)


def release(ledger: Ledger, operation: Operation) -> None:
    """Its process was told to end: the reaper takes it up at once, unless a person has cancelled it."""
    _leave(ledger, operation, "running")


def _leave(
    ledger: Ledger,
    operation: Operation,
    state: str,
    *,
    result: Jsonb | None = None,
    verdict: Verdict | None = None,
    error: str | None = None,
    within_seconds: float | None = None,
) -> None:
    values = {
        "state": state,
        "within": f"{within_seconds} s" if within_seconds is not None else None,
        "result": result,
        "verdict": verdict,
        "error": error and error[:_LONGEST_ERROR],
        "ended": "released" if state == "running" else state,
    }
    if not ledger.query(_LEAVE, **values, **operation.keys):
        raise refusal(ledger, operation)


_ENTER = """
INSERT INTO steward.operations (name, subject, period, resource, lease, max_attempts, deployment_id, parameters)
VALUES (%(name)s, %(subject)s, %(period)s, %(resource)s, %(lease)s, %(max_attempts)s, %(deployment_id)s, %(parameters)s)
ON CONFLICT DO NOTHING
"""

# A run whose own attempt has ended otherwise than by an error it reported does not come back: what sends it is an
# automation on crashes, and that would be an attempt too many. A conclusion is repeated only by another run. What was to
# start before the end repeats nothing: a replacement of the watch may come late, after the one that took its place.
_TAKE = """
WITH mine AS (
    SELECT o.id, o.state IN ('done', 'undone') AS anew
      FROM steward.operations o
     WHERE o.name = %(name)s AND o.subject = %(subject)s AND o.period = %(period)s
       AND (o.state IN ('due', 'waiting')
            OR o.state = 'failed'
               AND (o.flow_run_id = %(flow_run_id)s OR coalesce(o.ended_at < %(asked_at)s, true)) AND NOT EXISTS (
                SELECT FROM steward.operation_attempts a
                 WHERE a.operation_id = o.id AND a.flow_run_id = %(flow_run_id)s
                   AND coalesce(a.ended, 'lost') NOT IN ('failed', 'waiting'))
            OR o.state IN ('done', 'undone') AND o.verdict IS DISTINCT FROM 'VERIFIED'
               AND o.flow_run_id IS DISTINCT FROM %(flow_run_id)s AND coalesce(o.ended_at < %(asked_at)s, true)
            OR o.state = 'running' AND steward.expired(o.lease_until, o.lease))
       FOR UPDATE
), taken AS (
    UPDATE steward.operations o
       SET state = 'running', token = nextval('steward.fencing_tokens'), attempt = attempt + 1, owner = %(owner)s,
           round = round + mine.anew::int,
           turned_back = CASE WHEN NOT mine.anew THEN turned_back END,
           undone_at = CASE WHEN NOT mine.anew THEN undone_at END,
           -- A dead attempt's successor has what time is left; a person's decision gives all of it again.
           deadline = CASE WHEN state = 'running' THEN deadline
                           ELSE clock_timestamp() + %(deadline)s::interval END,
           flow_run_id = %(flow_run_id)s, deployment_id = coalesce(%(deployment_id)s, deployment_id),
           parameters = CASE WHEN mine.anew THEN %(parameters)s ELSE parameters END,
           resource = %(resource)s, max_attempts = %(max_attempts)s,
           verdict = NULL, result = NULL, error = NULL, ended_at = NULL,
           began_at = coalesce(began_at, clock_timestamp()),
           next_run_id = NULL, dispatches = 0, resume_after = NULL,
           lease = %(lease)s, lease_until = clock_timestamp() + %(lease)s::interval
      FROM mine
     WHERE o.id = mine.id
 RETURNING o.*
), logged AS (
    INSERT INTO steward.operation_attempts (token, operation_id, round, attempt, owner, flow_run_id)
    SELECT token, id, round, attempt, owner, flow_run_id FROM taken
)
SELECT * FROM taken
"""

_READ = "SELECT * FROM steward.operations WHERE name = %(name)s AND subject = %(subject)s AND period = %(period)s"

_HOLDER = """
SELECT concat_ws(' ', name, nullif(subject, ''), nullif(period, '')) AS named
  FROM steward.operations WHERE resource = %(resource)s AND state IN ('running', 'waiting')
"""

_QUEUE = """
UPDATE steward.operations SET due_at = coalesce(due_at, clock_timestamp())
 WHERE name = %(name)s AND subject = %(subject)s AND period = %(period)s AND state = 'due'
"""

_CURRENT = "SELECT 1 FROM steward.operations WHERE id = %(id)s AND token = %(token)s AND state = 'running'"

_REFUSED = """
UPDATE steward.operation_attempts
   SET refused = refused + 1, ended = coalesce(ended, 'superseded'), ended_at = coalesce(ended_at, clock_timestamp())
 WHERE token = %(token)s
"""

_TURN_BACK = """
UPDATE steward.operations SET turned_back = coalesce(turned_back, %(reason)s)
 WHERE id = %(id)s AND token = %(token)s AND state = 'running' RETURNING id
"""

_UNDONE = """
UPDATE steward.operations SET undone_at = clock_timestamp()
 WHERE id = %(id)s AND token = %(token)s AND state = 'running' RETURNING id
"""

# Sent again, it finds its own state. What was turned back and not wholly undone has failed, whatever its flow returns.
_LEAVE = """
WITH mine AS (
    UPDATE steward.operations
       SET result = %(result)s, verdict = %(verdict)s, error = %(error)s, lease_until = clock_timestamp(),
           ended_at = CASE WHEN %(state)s NOT IN ('running', 'waiting') THEN clock_timestamp() END,
           deadline = coalesce(clock_timestamp() + %(within)s::interval, deadline),
           state = CASE WHEN %(state)s IN ('done', 'failed') AND undone_at IS NOT NULL THEN 'undone'
                        WHEN %(state)s = 'done' AND turned_back IS NOT NULL THEN 'failed'
                        ELSE %(state)s END
     WHERE id = %(id)s AND token = %(token)s AND state = ANY(ARRAY['running', 'undone', 'failed', %(state)s])
 RETURNING id, state
), logged AS (
    UPDATE steward.operation_attempts
       SET ended_at = clock_timestamp(),
           ended = CASE WHEN %(ended)s = 'released' THEN 'released' ELSE (SELECT state FROM mine) END
     WHERE token = %(token)s AND EXISTS (SELECT FROM mine)
)
SELECT id FROM mine
"""
