"""For statements that bypass the mapper's events, and for migrations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column

from steward.fieldcrypt.cipher import FieldCipher
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.process import bound_tenant
from steward.fieldcrypt.sqlalchemy.columns import INDEX_SUFFIX, BlindIndex, Encrypted
from steward.fieldcrypt.sqlalchemy.comparison import as_clause, place_of
from steward.fieldcrypt.sqlalchemy.errors import WriteRefused
from steward.fieldcrypt.sqlalchemy.stored import Index, Sealed
from steward.fieldcrypt.values import Value


def sealed(column: Any, row_id: RowId, value: Value | None) -> dict[str, bytes | None]:
    """What `insert` and `update` write for one encrypted attribute of the row *row_id*: ciphertext, and index if any.

    `insert(Customer).values(id=row_id, **sealed(Customer.email, row_id, "ada@example.net"))`. Of the bound tenant.
    *row_id* is the primary key, with the type it is read with; a tuple where it has several columns.
    """
    (base,) = as_clause(column).base_columns
    if not isinstance(base, Column) or not isinstance(base.type, Encrypted):
        raise WriteRefused(f"{base} is no encrypted column", hint="write its value as it is")
    cipher, place = FieldCipher(bound_tenant()), place_of(base)
    ciphertext = cipher.encrypt(*place, row_id, value)
    values: dict[str, bytes | None] = {column.key: ciphertext and Sealed(ciphertext)}
    if base.type.searchable:
        index = cipher.blind_index(*place, value)
        values[f"{column.key}{INDEX_SUFFIX}"] = index and Index(index)
    return values


def render_item(kind: str, item: object, context: object) -> str | bool:
    """For Alembic's `context.configure(render_item=…)`: migrations name plain bytes, and need nothing of this."""
    _ = context
    return "sa.LargeBinary()" if kind == "type" and isinstance(item, Encrypted | BlindIndex) else False
