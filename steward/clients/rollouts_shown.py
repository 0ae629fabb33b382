"""What the status pages show of rollouts, read from Steward's own database and never locked there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.rows import dict_row
from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.clients.postgres import Connection
from steward.rollout.glance import Glance
from steward.rollout.record import NoRollout

#: A picture is a few hundred pixels wide.
MOST_GLANCES = 240


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ShownRollout(_Shown):
    """A row as people see it. Its plan is not judged by: one that this version would refuse is shown as well."""

    id: int
    environment: str
    release: str
    flag: str
    plan: dict[str, Any]
    state: str
    step: int
    exposure: float
    step_begun_at: AwareDatetime
    epoch: int
    lease_seconds: float
    lease_left: float
    colour: str
    previous_colour: str
    previous_release: str | None
    who: str | None
    why: str | None
    begun_at: AwareDatetime
    exposed_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    revoked_at: AwareDatetime | None = None
    """When what had proved itself was taken back all the same."""
    revoked_why: str | None = None
    now: AwareDatetime
    """By the database's clock, as all of the times."""


class ShownStage(_Shown):
    """All looks of one step, or of the bake."""

    step: int
    baking: bool
    exposure: int
    looks: int
    began_at: AwareDatetime
    last_at: AwareDatetime
    decision: str
    """Of the last look."""
    reason: str | None


class ShownDecision(_Shown):
    """What a person said."""

    step: int
    decision: str
    who: str
    why: str
    via: str
    at: AwareDatetime


class ShownRelease(_Shown):
    """What a rollout left in an environment."""

    environment: str
    release: str
    colour: str
    rollout: int
    certified_at: AwareDatetime | None
    certified_by: str | None
    revoked_at: AwareDatetime | None


@dataclass(frozen=True)
class ShownPage:
    """All of one rollout."""

    rollout: ShownRollout
    glances: list[Glance]
    """First and last of each stage, and others evenly between; oldest first."""
    stages: list[ShownStage]
    decisions: list[ShownDecision]


def newest_rollouts(db: Connection, most: int = 50) -> list[ShownRollout]:
    """Of every environment: those under way first, then the last begun."""
    return [ShownRollout.model_validate(row) for row in _rows(db, _NEWEST, most=most)]


def releases_in_force(db: Connection) -> list[ShownRelease]:
    """By environment, the release that was certified last and not taken back since."""
    return [ShownRelease.model_validate(row) for row in _rows(db, _IN_FORCE)]


def page_of(db: Connection, rollout_id: int) -> ShownPage:
    """Raises NoRollout."""
    rows = _rows(db, _ONE, id=rollout_id)
    if not rows:
        raise NoRollout(f"there is no rollout {rollout_id}", hint="see /rollouts for those there are")
    glances = _rows(db, _GLANCES, id=rollout_id, most=MOST_GLANCES)
    return ShownPage(
        ShownRollout.model_validate(rows[0]),
        [Glance.model_validate(row["judgement"]) for row in glances],
        [ShownStage.model_validate(row) for row in _rows(db, _STAGES, id=rollout_id)],
        [ShownDecision.model_validate(row) for row in _rows(db, _DECISIONS, id=rollout_id)],
    )


def last_glance(db: Connection, rollout_id: int) -> Glance | None:
    """The last look, of whatever step; None: nobody has looked yet."""
    rows = _rows(db, _LAST_GLANCE, id=rollout_id)
    return Glance.model_validate(rows[0]["judgement"]) if rows else None


def _rows(db: Connection, query: LiteralString, **values: Any) -> list[dict[str, Any]]:
    with db.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


_ROLLOUT = """
SELECT o.id, o.environment, o.release, o.flag, o.plan, o.state, o.step, o.exposure::float8 AS exposure, o.step_begun_at,
       o.epoch, extract(epoch FROM o.lease)::float8 AS lease_seconds,
       extract(epoch FROM o.lease_until - clock_timestamp())::float8 AS lease_left,
       o.colour, o.previous_colour, o.previous_release, o.who, o.why, o.begun_at, o.exposed_at, o.ended_at,
       r.revoked_at, r.revoked_why, clock_timestamp() AS now
  FROM steward.rollouts o LEFT JOIN steward.releases r ON r.rollout = o.id AND o.state = 'certified'
"""

_NEWEST = _ROLLOUT + " ORDER BY o.ended_at IS NOT NULL, o.id DESC LIMIT %(most)s"

_ONE = _ROLLOUT + " WHERE o.id = %(id)s"

_GLANCES = """
WITH numbered AS (
    SELECT id, judgement,
           row_number() OVER (PARTITION BY step, judgement ->> 'baking' ORDER BY id) AS first,
           row_number() OVER (PARTITION BY step, judgement ->> 'baking' ORDER BY id DESC) AS last,
           row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS looks
      FROM steward.rollout_judgements WHERE rollout = %(id)s
)
SELECT judgement FROM numbered
 WHERE first = 1 OR last = 1 OR number %% greatest(1, ceil(looks::float8 / %(most)s)::bigint) = 0
 ORDER BY id
"""

_LAST_GLANCE = "SELECT judgement FROM steward.rollout_judgements WHERE rollout = %(id)s ORDER BY id DESC LIMIT 1"

_STAGES = """
SELECT step, coalesce((judgement ->> 'baking')::boolean, false) AS baking,
       max((judgement ->> 'exposure')::int) AS exposure, count(*) AS looks, min(at) AS began_at, max(at) AS last_at,
       (array_agg(decision ORDER BY id DESC))[1] AS decision,
       (array_agg(judgement -> 'reasons' ->> 0 ORDER BY id DESC))[1] AS reason
  FROM steward.rollout_judgements WHERE rollout = %(id)s
 GROUP BY 1, 2 ORDER BY min(id)
"""

_DECISIONS = """
SELECT step, decision, who, why, via, at FROM steward.rollout_decisions WHERE rollout = %(id)s ORDER BY id
"""

_IN_FORCE = """
SELECT DISTINCT ON (environment) environment, release, colour, rollout, certified_at, certified_by, revoked_at
  FROM steward.releases WHERE certified_at IS NOT NULL AND revoked_at IS NULL
 ORDER BY environment, certified_at DESC
"""
