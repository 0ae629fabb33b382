"""Which users met what under a flag: each counted once a rollout's step and kind, whatever is repeated or killed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import LiteralString, NamedTuple

import psycopg

from steward.clients.flag_errors import OutcomesRefused
from steward.clients.postgres import Connection

#: A batch's largest number; the database refuses more.
MOST = 10_000
#: Of malformed values and of broken rules: waiting cures neither.
_FOR_EVER = ("22", "23")


class Outcome(NamedTuple):
    """The first time that a user met something."""

    flag: str
    rollout: str
    step: int
    variant: str
    kind: str
    """`exposed`, `error`, `slow`, or what else a plan names."""
    user: str
    """16 bytes in hexadecimal, by which nobody is known."""


class Total(NamedTuple):
    """How many users, of all instances together."""

    flag: str
    rollout: str
    step: int
    variant: str
    kind: str
    users: int


def record(connection: Connection, instance: str, outcomes: Iterable[Outcome]) -> list[Total]:
    """Count what is new of *outcomes*; all totals of the steps that they name. With none it says that *instance* lives.

    Exact, and counted once, when the transaction is committed; a batch whose answer was lost is sent again as it was. Raises
    OutcomesRefused for a batch that can never be taken: nothing of it is counted then.
    """
    told = json.dumps([each._asdict() for each in outcomes])
    try:
        rows = connection.execute(_RECORD, {"instance": instance, "outcomes": told}).fetchall()
    except psycopg.Error as error:
        if (error.sqlstate or "").startswith(_FOR_EVER):
            raise OutcomesRefused(
                f"outcomes of {instance} are refused: {error.diag.message_primary}",
                hint="compare them with docs/flag-server.md; sent again, they are refused again",
            ) from None
        raise
    return [Total(*row) for row in rows]


def read_totals(connection: Connection, flag: str, rollout: str, step: int | None = None) -> list[Total]:
    """Of one step, or of all."""
    rows = connection.execute(_TOTALS, {"flag": flag, "rollout": rollout, "step": step}).fetchall()
    return [Total(*row) for row in rows]


def heartbeats(connection: Connection) -> dict[str, datetime]:
    """By instance, when it wrote last, by the database's clock."""
    return dict(connection.execute("SELECT instance, at FROM flags.heartbeats ORDER BY instance").fetchall())


def forget_ended(connection: Connection, after_days: float, at_most: int) -> int:
    """Delete *at_most* rows of single users of rollouts that ended so long ago; how many were. The totals stay.

    Under which no application counts any more: it would count anew. A row that somebody holds is left for the next time.
    """
    return connection.execute(_FORGET_ENDED, {"after": f"{after_days} days", "at_most": at_most}).rowcount


_RECORD: LiteralString = """
SELECT flag, rollout, step, variant, kind, users FROM flags.record(%(instance)s, %(outcomes)s::jsonb)
"""

_TOTALS: LiteralString = """
SELECT flag, rollout, step, variant, kind, users FROM flags.totals
 WHERE flag = %(flag)s AND rollout = %(rollout)s AND step = coalesce(%(step)s, step)
 ORDER BY flag, rollout, step, variant, kind
"""

_FORGET_ENDED: LiteralString = """
DELETE FROM flags.outcomes
 WHERE ctid = ANY (ARRAY (
     SELECT o.ctid FROM flags.outcomes o JOIN steward.rollouts r ON o.flag = r.flag AND o.rollout = r.id::text
      WHERE r.ended_at < clock_timestamp() - %(after)s::interval
      LIMIT %(at_most)s FOR UPDATE OF o SKIP LOCKED))
"""
