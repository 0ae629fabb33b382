"""The reaper's statements: what nobody holds, and what was decided about it. Each is harmless when made twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from steward.operations.ledger import Ledger, Row
from steward.operations.reaping import Abandoned

#: Read at once: as many as a round may well work off.
MOST_AT_ONCE = 100
#: A claim enters its operation before it takes it; one that has not taken it by then died between the two.
_ENTERED_SECONDS = 60


@dataclass(frozen=True)
class Clock:
    """The database's time in Unix seconds, and the longest lease that is held by it."""

    seconds: float
    lease_seconds: float


def read_clock(ledger: Ledger) -> Clock:
    """Raises what `Ledger.query` raises."""
    (row,) = ledger.query(_CLOCK)
    return Clock(row["seconds"], max(row["lease_seconds"], ledger.settings.operations.lease_seconds))


def shorten_leases(ledger: Ledger) -> list[str]:
    """Bring back leases that end later than any heartbeat can have set them: the clock was set backward since.

    Each is given a whole lease from now, so a holder that lives renews it. The operations' names.
    """
    return [row["named"] for row in ledger.query(_SHORTEN)]


def abandoned_operations(ledger: Ledger) -> list[Abandoned]:
    """What nobody holds: expired, released or waiting; and what is due, where its resource is free and its turn."""
    rows = ledger.query(_ABANDONED, entered=f"{_ENTERED_SECONDS} s", most=MOST_AT_ONCE)
    return [_abandoned(row) for row in rows]


def _abandoned(row: Row) -> Abandoned:
    plain = {name: row[name] for name in Abandoned.__dataclass_fields__ if name != "lease_seconds"}
    for name in ("flow_run_id", "next_run_id", "deployment_id"):
        plain[name] = str(row[name]) if row[name] else None
    return Abandoned(**plain, lease_seconds=row["lease"].total_seconds())


def record_dispatch(ledger: Ledger, operation: Abandoned, run_id: str, deployment_id: str) -> bool:
    """A run was made for its next attempt. False: another watch has recorded it, or its holder is back."""
    values = {"id": operation.id, "token": operation.token, "dispatches": operation.dispatches}
    return bool(ledger.query(_DISPATCHED, run_id=run_id, deployment_id=deployment_id, **values))


def give_up(ledger: Ledger, operation: Abandoned, state: str, reason: str) -> bool:
    """End it as `failed` or `cancelled`, with a new token, so that a holder which wakes is refused.

    False: it is no longer as it was read.
    """
    values = {"id": operation.id, "token": operation.token, "was": operation.state}
    return bool(ledger.query(_GIVE_UP, state=state, reason=reason, **values))


def make_due(ledger: Ledger, run_id: str) -> list[str]:
    """Make due again what failed in *run_id*, which was to try again itself and died before it could."""
    return [row["named"] for row in ledger.query(_MAKE_DUE, run_id=run_id)]


@dataclass(frozen=True)
class Known:
    """What the ledger knows of runs and deployments that Prefect shows."""

    runs: frozenset[str]
    """Runs with an attempt in the ledger."""
    replacements: frozenset[str]
    """Runs that were made for an operation's next attempt."""
    deployments: frozenset[str]
    """Deployments whose runs have claimed operations."""


def known_runs(ledger: Ledger, runs: Iterable[str], deployments: Iterable[str]) -> Known:
    rows = ledger.query(_KNOWN, runs=list(runs), deployments=list(deployments))
    found = {kind: frozenset(str(row["id"]) for row in rows if row["kind"] == kind) for kind in ("run", "next", "of")}
    return Known(found["run"], found["next"], found["of"])


def ended_runs(ledger: Ledger, runs: Iterable[str], after_seconds: float) -> dict[str, str]:
    """How the runs ended whose last attempt has been over for *after_seconds*: done, refuted, failed, lost …"""
    rows = ledger.query(_ENDED, runs=list(runs), after=f"{after_seconds} s")
    return {str(row["flow_run_id"]): row["ended"] for row in rows}


_CLOCK = """
SELECT extract(epoch FROM clock_timestamp())::float AS seconds,
       coalesce(extract(epoch FROM max(lease)), 0)::float AS lease_seconds
  FROM steward.operations WHERE state = 'running'
"""

_SHORTEN = """
UPDATE steward.operations SET lease_until = clock_timestamp() + lease
 WHERE state = 'running' AND lease_until > clock_timestamp() + lease + interval '1 s'
RETURNING concat_ws(' ', name, nullif(subject, ''), nullif(period, '')) AS named
"""

# The oldest of what is due on one resource goes first.
_ABANDONED = """
SELECT o.*, (SELECT count(*) FROM steward.operation_attempts a
              WHERE a.operation_id = o.id AND a.round = o.round
                AND (a.ended IS NULL OR a.ended IN ('released', 'superseded'))
                AND a.began_at > coalesce((SELECT max(d.decided_at) FROM steward.operation_decisions d
                                            WHERE d.operation_id = o.id), '-infinity')) AS lost
  FROM steward.operations o
 WHERE o.state = 'running' AND steward.expired(o.lease_until, o.lease)
    OR o.state = 'waiting'
    OR o.state = 'due' AND coalesce(o.due_at, o.created_at + o.lease + %(entered)s::interval) <= clock_timestamp()
       AND NOT EXISTS (
           SELECT FROM steward.operations h
            WHERE h.resource = o.resource
              AND (h.state IN ('running', 'waiting') OR h.state = 'due' AND (h.due_at, h.id) < (o.due_at, o.id)))
 ORDER BY o.state = 'waiting', o.id
 LIMIT %(most)s
"""

_DISPATCHED = """
UPDATE steward.operations
   SET next_run_id = %(run_id)s, deployment_id = %(deployment_id)s, dispatches = dispatches + 1,
       resume_after = clock_timestamp() + interval '1 s' * power(2, least(dispatches, 8))
 WHERE id = %(id)s AND token = %(token)s AND dispatches = %(dispatches)s AND state IN ('running', 'due', 'waiting')
RETURNING id
"""

_GIVE_UP = """
UPDATE steward.operations
   SET state = %(state)s, error = %(reason)s, token = nextval('steward.fencing_tokens'), ended_at = clock_timestamp(),
       verdict = CASE WHEN %(state)s = 'failed' THEN 'UNKNOWN' END, next_run_id = NULL
 WHERE id = %(id)s AND token = %(token)s AND state = %(was)s
   AND (state <> 'running' OR steward.expired(lease_until, lease))
RETURNING id
"""

_MAKE_DUE = """
UPDATE steward.operations
   SET state = 'due', due_at = clock_timestamp(), token = nextval('steward.fencing_tokens'),
       next_run_id = NULL, dispatches = 0, resume_after = NULL
 WHERE flow_run_id = %(run_id)s AND state = 'failed'
RETURNING concat_ws(' ', name, nullif(subject, ''), nullif(period, '')) AS named
"""

_KNOWN = """
SELECT 'run' AS kind, flow_run_id AS id FROM steward.operation_attempts WHERE flow_run_id = ANY(%(runs)s::uuid[])
UNION SELECT 'next', next_run_id FROM steward.operations WHERE next_run_id = ANY(%(runs)s::uuid[])
UNION SELECT 'of', deployment_id FROM steward.operations WHERE deployment_id = ANY(%(deployments)s::uuid[])
"""

# An attempt that died is over when the operation is another's, or has ended without it.
_ENDED = """
SELECT a.flow_run_id,
       CASE WHEN a.ended = 'done' AND (o.token <> a.token OR o.verdict IN ('REFUTED', 'UNKNOWN')) THEN 'not verified'
            ELSE coalesce(a.ended, 'lost') END AS ended
  FROM (SELECT DISTINCT ON (flow_run_id) * FROM steward.operation_attempts
         WHERE flow_run_id = ANY(%(runs)s::uuid[]) ORDER BY flow_run_id, token DESC) a
  JOIN steward.operations o ON o.id = a.operation_id
 WHERE CASE WHEN a.ended IS NULL AND o.token <> a.token THEN
            coalesce((SELECT min(n.began_at) FROM steward.operation_attempts n
                       WHERE n.operation_id = o.id AND n.token > a.token), o.ended_at, o.due_at)
            ELSE a.ended_at END < clock_timestamp() - %(after)s::interval
"""
