"""The keyring as its rotator uses it: all tenants at once, wraps under other versions of the vault's key, what is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

from steward.clients import keyring_rows as rows
from steward.clients.keyring import KeyringClient
from steward.clients.postgres import Connection
from steward.fieldcrypt.keyring import Wrap, WrappedKeys
from steward.settings import Keyring, Vault

#: Tenants that are asked for at a time: a question must stay within the keyring's limit.
_AT_A_TIME = 1000


class Retired(NamedTuple):
    """A generation that nobody reads any more."""

    tenant: str
    key_id: int
    since: dt.datetime


def open_rotating_keyring(keyring: Keyring, vault: Vault | None = None) -> RotatingKeyring:
    """The client of *keyring* for its owner."""
    return RotatingKeyring(keyring, vault)


class RotatingKeyring(KeyringClient):
    """As KeyringClient; whatever changes may be asked for twice."""

    def tenants(self) -> list[str]:
        """Everybody who has keys, by name."""
        return self._names("SELECT tenant FROM keyring.tenants WHERE erased_at IS NULL ORDER BY tenant")

    def erased(self) -> list[str]:
        """Everybody whose keys are gone for ever."""
        return self._names("SELECT tenant FROM keyring.tenants WHERE erased_at IS NOT NULL ORDER BY tenant")

    def load_many(self, tenants: Sequence[str]) -> list[WrappedKeys]:
        """As `load`, of each of *tenants* that is neither unknown nor erased."""
        found: list[WrappedKeys] = []
        for start in range(0, len(tenants), _AT_A_TIME):
            found += self._ask(partial(_load_many, tenants=list(tenants[start : start + _AT_A_TIME])))
        return found

    def keep_wrap(self, key_id: int, wrap: Wrap) -> None:
        """Another wrap of a key that is kept already; what it holds is the caller's word. One that is there stays."""
        self._ask(lambda connection: _run(connection, _KEEP_WRAP, (key_id, wrap.kek, wrap.wrapped)))

    def drop_wraps(self, key_id: int, keep: str) -> int:
        """Delete every wrap of the key but the one under *keep*, which must be there; how many were."""
        return self._ask(lambda connection: _run(connection, _DROP_WRAPS, {"key_id": key_id, "keep": keep}))

    def keks(self) -> dict[str, int]:
        """How many keys are wrapped under each version of the vault's key."""
        query = "SELECT kek, count(*) FROM keyring.wraps GROUP BY kek"
        return self._ask(lambda connection: dict(connection.execute(query).fetchall()))

    def retired(self, at_least: dt.timedelta, tenants: Sequence[str]) -> list[Retired]:
        """Generations of *tenants* that were retired at least so long ago, by the keyring's clock."""
        values = {"grace": at_least, "tenants": list(tenants)}
        return self._ask(lambda connection: [Retired(*row) for row in connection.execute(_RETIRED, values).fetchall()])

    def _names(self, query: str) -> list[str]:
        return self._ask(lambda connection: [name for (name,) in connection.execute(query.encode()).fetchall()])


def _load_many(connection: Connection, tenants: list[str]) -> list[WrappedKeys]:
    found = connection.execute(_LOAD_MANY, {"tenants": tenants}).fetchall()
    return [
        WrappedKeys(tenant, epoch, tuple(rows.generation(row[2:]) for row in each))
        for (tenant, epoch), each in groupby(found, key=lambda row: (row[0], row[1]))
    ]


def _run(connection: Connection, statement: str, values: object) -> int:
    return connection.execute(statement.encode(), values).rowcount  # pyright: ignore[reportArgumentType]


_LOAD_MANY = """
SELECT t.tenant, (SELECT coalesce(max(epoch), 0) FROM keyring.epochs), g.key_id, g.number, g.state, g.created_at,
       ARRAY(SELECT w.kek FROM keyring.wraps w WHERE w.key_id = g.key_id ORDER BY w.ordinal DESC),
       ARRAY(SELECT w.wrapped FROM keyring.wraps w WHERE w.key_id = g.key_id ORDER BY w.ordinal DESC)
FROM keyring.tenants t JOIN keyring.generations g USING (tenant)
WHERE t.tenant = ANY(%(tenants)s) AND t.erased_at IS NULL ORDER BY t.tenant, g.number
"""

# A key that was destroyed meanwhile gets none.
_KEEP_WRAP = """
INSERT INTO keyring.wraps (key_id, kek, wrapped) SELECT g.key_id, v.kek, v.wrapped
FROM (VALUES (%s::integer, %s::text, %s::bytea)) AS v(key_id, kek, wrapped)
JOIN keyring.generations g ON g.key_id = v.key_id AND g.state <> 'destroyed'
ON CONFLICT DO NOTHING
"""

_DROP_WRAPS = """
DELETE FROM keyring.wraps w WHERE w.key_id = %(key_id)s AND w.kek <> %(keep)s
AND EXISTS (SELECT FROM keyring.wraps k WHERE k.key_id = w.key_id AND k.kek = %(keep)s)
"""

_RETIRED = """
SELECT tenant, key_id, retired_at FROM keyring.generations
WHERE state = 'retired' AND retired_at <= clock_timestamp() - %(grace)s AND tenant = ANY(%(tenants)s)
ORDER BY key_id
"""
