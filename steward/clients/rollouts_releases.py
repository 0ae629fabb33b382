"""Releases as rollouts left them, and the ways back to them, in Steward's own database."""

from __future__ import annotations

from psycopg.rows import dict_row

from steward.clients.postgres import Connection
from steward.rollout.record import Release, Rollout


def note_placed(db: Connection, rollout: Rollout) -> None:
    """The release is put on the rollout's colour; what it was certified for before is over with."""
    db.execute(_PLACED, _keys(rollout))


def note_certified(db: Connection, rollout: Rollout, by: str | None) -> None:
    """It may be returned to. *by*: on whose word, where not every step was proved."""
    db.execute(_CERTIFIED, {**_keys(rollout), "by": by})


def revoke(db: Connection, environment: str, release: str, why: str) -> None:
    """It is not to be returned to any more; what was said first stands."""
    db.execute(_REVOKE, {"environment": environment, "release": release, "why": why})


def releases(db: Connection, environment: str) -> list[Release]:
    """The last put up first."""
    with db.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_LIST, {"environment": environment}).fetchall()
    return [Release.model_validate(row) for row in rows]


def last_certified(db: Connection, environment: str, besides: str) -> Release | None:
    """The last certified release that is not *besides*, and was not revoked."""
    fit = [each for each in releases(db, environment) if each.may_be_returned_to and each.release != besides]
    return max(fit, key=lambda each: each.certified_at or each.placed_at, default=None)


def _keys(rollout: Rollout) -> dict[str, object]:
    return {
        "environment": rollout.environment,
        "release": rollout.release,
        "colour": rollout.colour,
        "rollout": rollout.id,
    }


_PLACED = """
INSERT INTO steward.releases (environment, release, colour, rollout)
VALUES (%(environment)s, %(release)s, %(colour)s, %(rollout)s)
ON CONFLICT (environment, release) DO UPDATE
   SET colour = excluded.colour, rollout = excluded.rollout, placed_at = clock_timestamp(),
       certified_at = NULL, certified_by = NULL, revoked_at = NULL, revoked_why = NULL
 WHERE releases.rollout <> excluded.rollout
"""

_CERTIFIED = """
UPDATE steward.releases SET certified_at = coalesce(certified_at, clock_timestamp()), certified_by = %(by)s
 WHERE environment = %(environment)s AND release = %(release)s AND rollout = %(rollout)s
"""

_REVOKE = """
UPDATE steward.releases SET revoked_at = clock_timestamp(), revoked_why = %(why)s
 WHERE environment = %(environment)s AND release = %(release)s AND revoked_at IS NULL
"""

_LIST = """
SELECT environment, release, colour, placed_at, rollout, certified_at, certified_by, revoked_at, revoked_why
  FROM steward.releases WHERE environment = %(environment)s ORDER BY placed_at DESC
"""
