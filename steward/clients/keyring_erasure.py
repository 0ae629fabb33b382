"""What the keyring has left of a tenant, in one statement; and rows of applications by which an erasure is judged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg import sql

from steward.clients.encrypted_sql import EncryptedRow, columns_of, qualified, relation_of, row_of
from steward.clients.postgres import Connection, Database, connect
from steward.keys.columns import EncryptedTable
from steward.keys.erasure import Remains

#: A sample in the order of a digest reads the whole table once: minutes for hundreds of millions of rows.
_SAMPLE_TIMEOUT_SECONDS = 3600


def remains(connection: Connection, tenant: str) -> Remains | None:
    """None: the keyring does not know the tenant."""
    rows = connection.execute(_REMAINS, [tenant]).fetchall()
    if not rows:
        return None
    seen_at, erased_at, wraps, states, key_ids = rows[0]
    return Remains(seen_at=seen_at, erased_at=erased_at, wraps=wraps, states=states or {}, key_ids=tuple(key_ids or ()))


def erased_tenants(connection: Connection) -> dict[str, dt.datetime]:
    """Whom the keyring says to be erased, and since when."""
    return dict(
        connection.execute("SELECT tenant, erased_at FROM keyring.tenants WHERE erased_at IS NOT NULL").fetchall()
    )


def other_tenants(connection: Connection, tenant: str, most: int) -> list[str]:
    """Up to *most* tenants that have keys, *tenant* apart; the same ones each time, as far as they are still there."""
    rows = connection.execute(_OTHERS, (tenant, most)).fetchall()
    return [name for (name,) in rows]


def sample_rows(
    database: Database,
    table: EncryptedTable,
    most: int,
    *,
    of: Sequence[str] | None = None,
    but: Sequence[str] = (),
) -> list[EncryptedRow]:
    """Up to *most* rows of tenants *of* (None: all) but those in *but*: the same ones each time, as far as they stay."""
    query = sql.SQL(
        "SELECT {columns} FROM {relation} t WHERE (%(of)s::text[] IS NULL OR {tenant} = ANY(%(of)s)) "
        "AND {tenant} <> ALL(%(but)s) ORDER BY {order} LIMIT %(most)s"
    ).format(
        columns=columns_of(table),
        relation=relation_of(table),
        tenant=sql.SQL("{}::text").format(qualified(table.tenant)),
        # Spread over all tenants and ages, whatever the order on the disk.
        order=sql.SQL("md5(concat_ws('/', {}))").format(sql.SQL(", ").join(map(qualified, table.row_id))),
    )
    values = {"of": None if of is None else list(of), "but": list(but), "most": most}
    with connect(database, statement_timeout_seconds=_SAMPLE_TIMEOUT_SECONDS) as connection:
        rows = connection.execute(query, values, binary=True).fetchall()
    return list(map(row_of(table), rows))


_REMAINS = """
SELECT clock_timestamp(), t.erased_at,
       (SELECT count(*) FROM keyring.wraps w JOIN keyring.generations g USING (key_id) WHERE g.tenant = t.tenant),
       (SELECT jsonb_object_agg(state, n) FROM (
            SELECT state, count(*) AS n FROM keyring.generations g WHERE g.tenant = t.tenant GROUP BY state) AS s),
       (SELECT array_agg(key_id ORDER BY key_id) FROM keyring.generations g WHERE g.tenant = t.tenant)
FROM keyring.tenants t WHERE t.tenant = %s
"""

_OTHERS = """
SELECT tenant FROM keyring.tenants WHERE erased_at IS NULL AND tenant <> %s ORDER BY md5(tenant) LIMIT %s
"""
