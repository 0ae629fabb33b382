"""What an operation has made on other servers and not yet removed, by those servers' names for it.

A name is noted before it is made, or at once where the server gives it; deletions name only what stands here. So a
killed attempt's leftovers are found without guessing, and nobody else's are ever touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from steward.operations.claims import refusal
from steward.operations.holding import current
from steward.operations.ledger import Ledger, Row
from steward.operations.steps import current_step


@dataclass(frozen=True)
class Effect:
    """One thing made: its kind, the other server's name for it, and the attempt and step that made it."""

    id: int
    operation_id: int
    step: str
    key: str
    token: int
    kind: str
    effect_id: str
    detail: Any


def note_effects(kind: str, effect_ids: Iterable[str], detail: Mapping[str, Any] | None = None) -> None:
    """Note things that the step at work has made, or is about to make. Twice is harmless. Raises Superseded."""
    noting(kind)(effect_ids, detail)


def noting(kind: str) -> Callable[..., None]:
    """`note_effects` for the step's own threads, which do not know what step they work for."""
    held, step = current(), current_step()

    def note(effect_ids: Iterable[str], detail: Mapping[str, Any] | None = None) -> None:
        noted = held.ledger.query(
            _NOTE,
            step=step.name,
            step_key=step.key,
            kind=kind,
            effect_ids=list(effect_ids),
            detail=Jsonb(dict(detail)) if detail is not None else None,
            **held.operation.keys,
        )
        if not noted:
            raise refusal(held.ledger, held.operation)

    return note


def forget_effects(effects: Iterable[Effect]) -> None:
    """They are removed from the other server, or were found to be gone. Twice is harmless."""
    current().ledger.query(_FORGET, ids=[effect.id for effect in effects])


def own_effects(kind: str | None = None) -> list[Effect]:
    """What the current operation has made, in whatever attempt and round, and not removed; oldest first."""
    held = current()
    return _effects(held.ledger.query(_OWN, kind=kind, **held.operation.keys))


def dead_effects(kind: str | None = None) -> list[Effect]:
    """What earlier tries at the step at work have made and not removed: nobody needs it any more.

    To be asked before the step makes anything itself.
    """
    step = current_step()
    return [effect for effect in own_effects(kind) if (effect.step, effect.key) == (step.name, step.key)]


def abandoned_effects(kind: str | None = None, parts: str | None = None) -> list[Effect]:
    """What other operations of the same name and subject left when they ended for good; oldest first.

    *parts*: the name of its children, whose subjects begin with its own and a slash; theirs then, too.
    """
    held = current()
    return _effects(held.ledger.query(_ABANDONED, kind=kind, parts=parts, **held.operation.keys))


def removed_effects(kind: str, parts: str | None = None) -> list[Effect]:
    """What operations of the same name and subject have removed: a call that left before that may make it again.

    *parts*: as above.
    """
    held = current()
    return _effects(held.ledger.query(_REMOVED, kind=kind, parts=parts, **held.operation.keys))


def left_effects(ledger: Ledger, name: str, subject: str) -> list[Effect]:
    """Everything that operations of this name and subject have not removed: for tests and people."""
    return _effects(ledger.query(_LEFT, name=name, subject=subject))


def _effects(rows: list[Row]) -> list[Effect]:
    return [Effect(**{name: row[name] for name in Effect.__dataclass_fields__}) for row in rows]


# A second try of one attempt may make what the first made and was removed: it is there again.
_NOTE = """
WITH mine AS (
    SELECT id FROM steward.operations WHERE id = %(id)s AND token = %(token)s AND state = 'running' FOR SHARE
), noted AS (
    INSERT INTO steward.operation_effects (operation_id, round, step, key, token, kind, effect_id, detail)
    SELECT id, %(round)s, %(step)s, %(step_key)s, %(token)s, %(kind)s, unnest(%(effect_ids)s::text[]), %(detail)s
      FROM mine
    ON CONFLICT (operation_id, kind, effect_id, token) DO UPDATE
       SET removed_at = NULL, noted_at = clock_timestamp(), detail = excluded.detail,
           round = excluded.round, step = excluded.step, key = excluded.key
)
SELECT id FROM mine
"""

_FORGET = """
UPDATE steward.operation_effects SET removed_at = coalesce(removed_at, clock_timestamp()) WHERE id = ANY(%(ids)s)
"""

_OWN = """
SELECT * FROM steward.operation_effects
 WHERE operation_id = %(id)s AND removed_at IS NULL AND (%(kind)s::text IS NULL OR kind = %(kind)s)
 ORDER BY id
"""

_ABANDONED = """
SELECT e.* FROM steward.operation_effects e
  JOIN steward.operations o ON o.id = e.operation_id
  JOIN steward.operations mine ON mine.id = %(id)s AND (mine.name = o.name AND mine.subject = o.subject
       OR o.name = %(parts)s AND starts_with(o.subject, mine.subject || '/'))
 WHERE o.id <> mine.id AND o.state NOT IN ('due', 'running', 'waiting') AND e.removed_at IS NULL
   AND (%(kind)s::text IS NULL OR e.kind = %(kind)s)
 ORDER BY e.id
"""

# A call that arrives after a month is none of this world.
_REMOVED = """
SELECT e.* FROM steward.operation_effects e
  JOIN steward.operations o ON o.id = e.operation_id
  JOIN steward.operations mine ON mine.id = %(id)s AND (mine.name = o.name AND mine.subject = o.subject
       OR o.name = %(parts)s AND starts_with(o.subject, mine.subject || '/'))
 WHERE e.kind = %(kind)s AND e.removed_at > clock_timestamp() - interval '30 days'
 ORDER BY e.id
"""

_LEFT = """
SELECT e.* FROM steward.operation_effects e JOIN steward.operations o ON o.id = e.operation_id
 WHERE o.name = %(name)s AND o.subject = %(subject)s AND e.removed_at IS NULL ORDER BY e.id
"""
