"""The key generation of each row, read from its ciphertext, for indexes and for what looks for old ones.

There is no column of key ids: one that is written beside a ciphertext can be left behind by a writer of another
version, and then a rotation passes over the row. What is computed from the ciphertext cannot.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class key_id_of(FunctionElement[int]):  # noqa: N801  reads as the function that it is in SQL
    """`key_id_of(Customer.email)`: what fieldcrypt.key_id says of the row's ciphertext; NULL of NULL. PostgreSQL.

    Immutable, so that it can be indexed: `Index("ix_customers_email_key", key_id_of(Customer.email))`.
    """

    type = Integer()
    inherit_cache = True
    name = "key_id_of"


@compiles(key_id_of, "postgresql")
def _on_postgresql(element: key_id_of, compiler: Any, **options: Any) -> str:
    (column,) = element.clauses
    ciphertext = compiler.process(column, **options)
    # Bytes 2 to 5, big-endian; below 2³¹, so that an integer of 4 bytes holds it.
    parts = [f"(get_byte({ciphertext}, {byte}) << {shift})" for byte, shift in ((2, 24), (3, 16), (4, 8), (5, 0))]
    return f"({' | '.join(parts)})"
