"""The record of ways back that were gone after a rollout's end, in Steward's own database: one under way an environment."""

from __future__ import annotations

from typing import LiteralString

from psycopg.rows import dict_row

from steward.clients.postgres import Connection
from steward.rollout.record import RolloutUnderWay
from steward.rollout.returning import DIRECTED, By, RollBack


class RollBackUnderWay(RolloutUnderWay):
    """The environment is on its way back to another release."""


def hold(db: Connection, environment: str) -> None:
    """Until the transaction ends, nobody else begins a rollout or a way back there."""
    db.execute("SELECT pg_advisory_xact_lock(hashtextextended('steward.rollouts ' || %s, 0))", [environment])


def refuse_beside(db: Connection, environment: str) -> None:
    """Raises RollBackUnderWay."""
    if other := under_way(db, environment):
        raise RollBackUnderWay(
            f"{other} is under way since {other.begun_at:%Y-%m-%d %H:%M %Z}: {other.who} asked for it, {other.why}",
            hint=f"the guardian in the watch ends it; or ask again: python -m steward rollout roll-back {environment}",
        )


def begin(db: Connection, environment: str, release: str, to_release: str, by: By) -> RollBack:
    """From here it is on record; the caller holds the environment."""
    row = db.execute(
        _BEGIN, {"in": environment, "from": release, "to": to_release, "who": by.who, "why": by.why, "via": by.via}
    ).fetchone()
    return read(db, row[0] if row else 0)


def read(db: Connection, number: int) -> RollBack:
    """Raises LookupError for a number that there is not."""
    (found,) = _rows(db, "WHERE b.id = %(id)s", id=number)
    return found


def end(db: Connection, number: int) -> bool:
    """The traffic is there. Whether it was this call that ended it."""
    return db.execute(_END, {"id": number}).rowcount == 1


def give_up(db: Connection, number: int, by: By) -> None:
    """A person goes elsewhere instead."""
    db.execute(_GIVE_UP, {"id": number, "said": f"; given up by {by.who}: {by.why}"})


def note_directed(db: Connection, environment: str, left: str, to: str, by: By) -> None:
    """A person sent the traffic to a colour."""
    db.execute(_NOTE, {"in": environment, "from": left, "to": to, "who": by.who, "why": by.why, "via": DIRECTED})


def under_way(db: Connection, environment: str) -> RollBack | None:
    """The one that has not ended."""
    return next(iter(_rows(db, "WHERE b.ended_at IS NULL AND b.environment = %(in)s", **{"in": environment})), None)


def left_undone(db: Connection, older_than_seconds: float) -> list[RollBack]:
    """Begun so long ago, and not ended."""
    return _rows(
        db,
        "WHERE b.ended_at IS NULL AND b.begun_at < clock_timestamp() - make_interval(secs => %(age)s) ORDER BY b.id",
        age=older_than_seconds,
    )


def newest(db: Connection, environment: str | None = None, limit: int = 20) -> list[RollBack]:
    """The last begun first, what people directed among them."""
    where = "WHERE b.environment = coalesce(%(in)s, b.environment) ORDER BY b.id DESC LIMIT %(limit)s"
    return _rows(db, where, **{"in": environment}, limit=limit)


def _rows(db: Connection, where: LiteralString, **values: object) -> list[RollBack]:
    with db.cursor(row_factory=dict_row) as cursor:
        return [RollBack.model_validate(row) for row in cursor.execute(_READ + where, values).fetchall()]


_READ = """
SELECT b.id, b.environment, b.release, b.to_release, b.who, b.why, b.via, b.begun_at, b.ended_at, r.rollout, o.flag
  FROM steward.roll_backs b
  LEFT JOIN steward.releases r ON r.environment = b.environment AND r.release = b.release
  LEFT JOIN steward.rollouts o ON o.id = r.rollout
"""

_BEGIN = """
INSERT INTO steward.roll_backs (environment, release, to_release, who, why, via)
VALUES (%(in)s, %(from)s, %(to)s, %(who)s, %(why)s, %(via)s) RETURNING id
"""

_NOTE = """
INSERT INTO steward.roll_backs (environment, release, to_release, who, why, via, ended_at)
VALUES (%(in)s, %(from)s, %(to)s, %(who)s, %(why)s, %(via)s, clock_timestamp())
"""

_END = "UPDATE steward.roll_backs SET ended_at = clock_timestamp() WHERE id = %(id)s AND ended_at IS NULL"

_GIVE_UP = """
UPDATE steward.roll_backs SET ended_at = clock_timestamp(), why = why || %(said)s
 WHERE id = %(id)s AND ended_at IS NULL
"""
