"""What was judged and what people decided of a rollout, in Steward's own database: entered once, and kept as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from steward.clients.postgres import Connection
from steward.rollout.record import Rollout, Said, Saying

if TYPE_CHECKING:
    from steward.rollout.judge import Judgement


def keep_judgement(db: Connection, rollout: Rollout, judgement: Judgement) -> None:
    """One look."""
    db.execute(
        "INSERT INTO steward.rollout_judgements (rollout, step, decision, judgement) VALUES (%s, %s, %s, %s)",
        (rollout.id, judgement.step, judgement.decision.value, Jsonb(judgement.model_dump(mode="json"))),
    )


def last_judgement(db: Connection, rollout_id: int) -> Judgement | None:
    """Of whatever step and attempt."""
    row = db.execute(
        "SELECT judgement FROM steward.rollout_judgements WHERE rollout = %s ORDER BY id DESC LIMIT 1", [rollout_id]
    ).fetchone()
    return _judgement(row[0]) if row else None


def judgements(db: Connection, rollout_id: int, most: int = 2000) -> list[Judgement]:
    """The first and last of each step, and others evenly between, *most* at most; oldest first."""
    rows = db.execute(_JUDGEMENTS, {"rollout": rollout_id, "most": most}).fetchall()
    return [_judgement(judgement) for (judgement,) in rows]


def count_looks(db: Connection, rollout_id: int, step: int, *, baking: bool) -> int:
    """At one step."""
    row = db.execute(_LOOKS, {"rollout": rollout_id, "step": step, "baking": baking}).fetchone()
    return row[0] if row else 0


def say(db: Connection, rollout: Rollout, saying: Saying, *, who: str, why: str, via: str) -> None:
    """Enter what a person decided about the step at which the rollout is."""
    db.execute(
        _SAY, {"rollout": rollout.id, "step": rollout.step, "decision": saying, "who": who, "why": why, "via": via}
    )


def said(db: Connection, rollout_id: int) -> list[Said]:
    """Oldest first."""
    with db.cursor(row_factory=dict_row) as cursor:
        return [Said.model_validate(row) for row in cursor.execute(_SAID, [rollout_id]).fetchall()]


def _judgement(kept: Any) -> Judgement:
    # Here, because the flag server enters what people say, and has no SciPy.
    from steward.rollout.judge import Judgement  # noqa: PLC0415  the reason stands above

    return Judgement.model_validate(kept)


_JUDGEMENTS = """
WITH numbered AS (
    SELECT id, judgement,
           row_number() OVER (PARTITION BY step ORDER BY id) AS first,
           row_number() OVER (PARTITION BY step ORDER BY id DESC) AS last,
           row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS looks
      FROM steward.rollout_judgements WHERE rollout = %(rollout)s
)
SELECT judgement FROM numbered
 WHERE first = 1 OR last = 1 OR number %% greatest(1, ceil(looks::float8 / %(most)s)::bigint) = 0
 ORDER BY id
"""

_LOOKS = """
SELECT count(*) FROM steward.rollout_judgements
 WHERE rollout = %(rollout)s AND step = %(step)s AND (judgement ->> 'baking')::boolean = %(baking)s
"""

_SAY = """
INSERT INTO steward.rollout_decisions (rollout, step, decision, who, why, via)
VALUES (%(rollout)s, %(step)s, %(decision)s, %(who)s, %(why)s, %(via)s)
"""

_SAID = "SELECT step, decision, who, why, via, at FROM steward.rollout_decisions WHERE rollout = %s ORDER BY id"
