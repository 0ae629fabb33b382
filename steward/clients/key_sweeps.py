"""What Steward's own database keeps of a rotation on its way: parts that are done, and golden rows' writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from steward.clients.postgres import Connection
from steward.keys.sweep import Part, Tally


class Writes(NamedTuple):
    """What became of one golden row in a round."""

    acknowledged: int
    """Writes that were acknowledged."""
    last: int
    """The last of them, by its number."""
    intended: int
    """The last that was begun."""


#: Of a row that nothing was intended for.
NO_WRITES = Writes(0, 0, 0)


class KeySweeps:
    """One operation's round (*keys*: its id and round), for one application."""

    def __init__(self, connection: Connection, keys: Mapping[str, Any], application: str) -> None:
        self._connection = connection
        self._values = {"id": keys["id"], "round": keys["round"], "application": application}

    def done(self) -> dict[tuple[int, Part], Tally]:
        """Parts that are done, by (pass, part)."""
        rows = self._connection.execute(_DONE, self._values).fetchall()
        return {(row[0], Part(*row[1:4])): Tally(*row[4:9]) for row in rows}

    def part_is_done(self, number: int, part: Part, tally: Tally, seconds: float) -> None:
        """Record it; what an earlier attempt recorded of the same part stays."""
        values = {**self._values, "pass": number, "leaf": part.leaf, "first": part.first, "beyond": part.beyond}
        self._connection.execute(_PART, {**values, **asdict(tally), "seconds": seconds})

    def next_write(self, relation: str, number: int) -> int:
        """The number of the golden row's next write, recorded as intended: before the row is written."""
        values = {**self._values, "relation": relation, "number": number}
        return next(value for (value,) in self._connection.execute(_INTEND, values).fetchall())

    def write_is_acknowledged(self, relation: str, number: int, write: int) -> None:
        """The application's database has confirmed it."""
        self._connection.execute(_ACKNOWLEDGE, {**self._values, "relation": relation, "number": number, "write": write})

    def writes(self) -> dict[tuple[str, int], Writes]:
        """Of this round, by (relation, row number)."""
        rows = self._connection.execute(_WRITES, self._values).fetchall()
        return {(row[0], row[1]): Writes(*row[2:]) for row in rows}


_DONE = """
SELECT pass, leaf, first_page, beyond_page, rows_read, replaced, overtaken, damaged, resting_seconds
FROM steward.key_sweep_parts WHERE operation_id = %(id)s AND round = %(round)s AND application = %(application)s
"""

_PART = """
INSERT INTO steward.key_sweep_parts (operation_id, round, application, leaf, pass, first_page, beyond_page, rows_read,
    replaced, overtaken, damaged, resting_seconds, seconds)
VALUES (%(id)s, %(round)s, %(application)s, %(leaf)s, %(pass)s, %(first)s, %(beyond)s, %(read)s,
    %(replaced)s, %(overtaken)s, %(damaged)s, %(resting_seconds)s, %(seconds)s) ON CONFLICT DO NOTHING
"""

# Above all that any operation intended for this row: a write of an earlier rotation is not taken for one of this.
_INTEND = """
INSERT INTO steward.key_golden_writes AS w (operation_id, round, application, relation, row_number, first, intended)
SELECT %(id)s, %(round)s, %(application)s, %(relation)s, %(number)s, coalesce(max(p.intended), 0) + 1, coalesce(max(p.intended), 0) + 1
FROM steward.key_golden_writes p
WHERE p.application = %(application)s AND p.relation = %(relation)s AND p.row_number = %(number)s
ON CONFLICT (operation_id, round, application, relation, row_number)
DO UPDATE SET intended = excluded.intended RETURNING intended
"""

_ACKNOWLEDGE = """
UPDATE steward.key_golden_writes SET acknowledged = %(write)s, acknowledged_writes = acknowledged_writes + 1
WHERE operation_id = %(id)s AND round = %(round)s AND application = %(application)s AND relation = %(relation)s
AND row_number = %(number)s AND acknowledged < %(write)s
"""

_WRITES = """
SELECT relation, row_number, acknowledged_writes, acknowledged, intended FROM steward.key_golden_writes
WHERE operation_id = %(id)s AND round = %(round)s AND application = %(application)s
"""
