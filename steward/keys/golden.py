"""Rows that Steward itself keeps among an application's, under a tenant of its own: what is in them is known.

Some never change, and must come out of every rotation as they went in. The others are written all the while that one
goes on, as the application writes: whatever was acknowledged must be there afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid5

from steward.errors import BadInput
from steward.fieldcrypt.framing import RowId
from steward.keys.columns import EncryptedTable

GOLDEN_TENANT = "golden"
#: Of each table: numbers 0 … STILL - 1 never change, the next WRITTEN are written during a rotation.
STILL, WRITTEN = 8, 4

_NAMESPACE = UUID("6a2b0f5e-6a0c-5d5c-9a59-2f1f4f0a6d11")
# Beyond what sequences of an application reach, and within four bytes.
_FIRST_NUMBER = 2_147_000_000


def golden_row_id(table: EncryptedTable, kinds: tuple[str, ...], number: int) -> RowId:
    """The primary key of golden row *number*; *kinds*: PostgreSQL's types of its columns."""
    parts = tuple(_maker(kind)(table.where, number) for kind in kinds)
    return parts[0] if len(parts) == 1 else parts


def golden_value(table: EncryptedTable, column: str, number: int) -> str:
    """What a row that never changes holds in *column*."""
    return f"golden {table.where}.{column} {number}"


def written_value(table: EncryptedTable, column: str, number: int, writing: int) -> str:
    """What row *number* holds after its write *writing*, 0 being its first content."""
    return f"written {table.where}.{column} {number} {writing}"


def writing_of(value: object) -> int | None:
    """The write that left *value*; None: none of ours."""
    words = value.split(" ") if isinstance(value, str) else []
    return int(words[-1]) if len(words) > 1 and words[0] == "written" and words[-1].isdigit() else None


def _maker(kind: str) -> Callable[[str, int], Any]:
    if kind not in _MAKERS:
        raise BadInput(
            f"a primary key of type {kind}; expected {', '.join(sorted(_MAKERS))}",
            hint="fields are bound to keys of these types only",
        )
    return _MAKERS[kind]


_MAKERS: Mapping[str, Callable[[str, int], Any]] = {
    "uuid": lambda table, number: uuid5(_NAMESPACE, f"{table} {number}"),
    "text": lambda _, number: f"steward-golden-{number}",
    "character varying": lambda _, number: f"steward-golden-{number}",
    "bytea": lambda _, number: b"steward-golden-%d" % number,
    "integer": lambda _, number: _FIRST_NUMBER + number,
    "bigint": lambda _, number: _FIRST_NUMBER + number,
}
#: PostgreSQL's types of primary keys that rows are addressed and fields are bound by.
ROW_ID_KINDS = frozenset(_MAKERS)
