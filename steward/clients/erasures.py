"""Steward's list of erasures, and its register of the keyring's backups: outside the keyring, which may be restored.

Functions over a connection to Steward's own database, each in its caller's transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from steward.clients.postgres import Connection
from steward.keys.backups import Backup
from steward.keys.erasure import Erasure
from steward.verdicts import Verdict


def note_erasure(connection: Connection, tenant: str, reason: str, operation_id: int | None) -> None:
    """Enter the tenant, before its keys go: whatever keyring comes back after this is erased again. Twice is harmless."""
    connection.execute(_NOTE, (tenant, reason, operation_id))


def note_erased(connection: Connection, tenant: str, erased_at: dt.datetime, complete_after: dt.datetime) -> None:
    """When its keys went, by the keyring's clock; what was entered first stands."""
    connection.execute(_ERASED, {"tenant": tenant, "at": erased_at, "complete_after": complete_after})


def erasures(connection: Connection, tenant: str | None = None) -> list[Erasure]:
    """All, or that of *tenant*; oldest first."""
    return [Erasure.model_validate(row) for row in _rows(connection, _LIST, {"tenant": tenant})]


def note_complete(connection: Connection, tenants: Iterable[str], operation_id: int) -> None:
    """The backups have nothing of *tenants* any more, as *operation_id* found."""
    connection.execute(_COMPLETE, (operation_id, list(tenants)))


def completed_by(connection: Connection, operation_id: int) -> tuple[str, ...]:
    """Whose erasure that operation found to be complete."""
    query = "SELECT tenant FROM steward.erasures WHERE completed_by = %s ORDER BY tenant"
    return tuple(tenant for (tenant,) in connection.execute(query, [operation_id]).fetchall())


def register(connection: Connection, backup: Backup, operation_id: int) -> None:
    """Enter *backup* before it is stored: an object that is not in the register may hold anybody's keys."""
    connection.execute(
        _REGISTER,
        {**backup.model_dump(exclude={"verdict"}), "rows": Jsonb(backup.rows), "erased": list(backup.erased)}
        | {"operation": operation_id},
    )


def judge_backup(connection: Connection, key: str, verdict: Verdict) -> None:
    """What reading it back came to."""
    connection.execute("UPDATE steward.keyring_backups SET verdict = %s WHERE key = %s", (verdict.value, key))


def note_pruned(connection: Connection, keys: Iterable[str]) -> None:
    """No version of *keys* is left."""
    connection.execute(
        "UPDATE steward.keyring_backups SET pruned_at = coalesce(pruned_at, clock_timestamp()) WHERE key = ANY(%s)",
        [list(keys)],
    )


def backups(connection: Connection, operation_id: int | None = None) -> list[Backup]:
    """Those that are not known to be pruned, or those of one operation; newest first."""
    return [Backup.model_validate(row) for row in _rows(connection, _BACKUPS, {"operation": operation_id})]


def _rows(connection: Connection, query: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


_NOTE = """
INSERT INTO steward.erasures (tenant, reason, operation_id) VALUES (%s, %s, %s) ON CONFLICT (tenant) DO NOTHING
"""

_ERASED = """
UPDATE steward.erasures SET erased_at = %(at)s, complete_after = %(complete_after)s
 WHERE tenant = %(tenant)s AND erased_at IS NULL
"""

_LIST = """
SELECT tenant, reason, asked_at, erased_at, complete_after, completed_at FROM steward.erasures
 WHERE coalesce(tenant = %(tenant)s, true) ORDER BY asked_at, tenant
"""

_COMPLETE = """
UPDATE steward.erasures SET completed_at = clock_timestamp(), completed_by = %s
 WHERE tenant = ANY(%s) AND completed_at IS NULL AND erased_at IS NOT NULL
"""

_REGISTER = """
INSERT INTO steward.keyring_backups (key, operation_id, taken_at, epoch, sha256, bytes, rows, erased)
VALUES (%(key)s, %(operation)s, %(taken_at)s, %(epoch)s, %(sha256)s, %(bytes)s, %(rows)s, %(erased)s)
"""

_BACKUPS = """
SELECT key, taken_at, epoch, sha256, bytes, rows, erased, verdict FROM steward.keyring_backups
 WHERE CASE WHEN %(operation)s::bigint IS NULL THEN pruned_at IS NULL ELSE operation_id = %(operation)s END
 ORDER BY taken_at DESC, key DESC
"""
