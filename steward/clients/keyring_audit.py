"""What the keyring's rows say to an audit: read only, all at one moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from steward.clients.postgres import Connection, connect, keyring_database
from steward.keys.audit_facts import Generation, KeyringFacts, Reader, Some, StateCount, WrapCount
from steward.keys.audit_policy import KeyPolicy
from steward.settings import Keyring, Vault

#: Generations that one finding each is made of. A keyring of ten thousand tenants gives a count for the rest.
MOST_NAMED = 50
#: Aggregates over every row: seconds for a million wraps.
_STATEMENT_TIMEOUT_SECONDS = 60
#: As KeyringClient.lagging: a process that the keyring has not heard of for so long holds no key.
_SILENT = dt.timedelta(minutes=30)


def read_keyring(keyring: Keyring, vault: Vault | None, policy: KeyPolicy, newest_kek: str) -> KeyringFacts:
    """The keyring at one moment; *newest_kek* is `NAME/VERSION`, empty where the vault did not tell.

    Raises DatabaseUnavailable (transient), DatabaseRefused, DatabaseNotMigrated.
    """
    values = _values(policy, newest_kek)
    where = keyring_database(keyring, vault)
    with connect(where, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _facts(connection, values)


def enrolled_among(keyring: Keyring, vault: Vault | None, tenants: Sequence[str]) -> tuple[str, ...]:
    """Those of *tenants* that the keyring holds, and does not hold for erased."""
    with connect(keyring_database(keyring, vault)) as connection:
        query = "SELECT tenant FROM keyring.tenants WHERE erased_at IS NULL AND tenant = ANY(%s) ORDER BY tenant"
        return tuple(tenant for (tenant,) in connection.execute(query, [list(tenants)]))


def _values(policy: KeyPolicy, newest_kek: str) -> dict[str, Any]:
    bounds = policy.generations
    return {
        "most": MOST_NAMED,
        "silent": _SILENT,
        "newest": newest_kek,
        "current": dt.timedelta(days=bounds.current_days),
        "incoming": dt.timedelta(hours=bounds.incoming_hours),
        "previous": dt.timedelta(days=bounds.previous_days),
        "retired": dt.timedelta(days=bounds.retired_days),
        "lag": dt.timedelta(minutes=policy.readers.lag_minutes),
    }


def _facts(connection: Connection, values: Mapping[str, Any]) -> KeyringFacts:
    totals = _one(connection, _TOTALS, values)
    read_at, revision, epoch, tenants, erased, readers, silent = totals
    return KeyringFacts(
        read_at=read_at,
        revision=revision,
        epoch=epoch,
        tenants=tenants,
        erased=erased,
        states=tuple(
            StateCount(state=state, generations=count, oldest_at=oldest)
            for state, count, oldest in connection.execute(_STATES)
        ),
        wraps=tuple(WrapCount(kek=kek, wraps=wraps, tenants=held) for kek, wraps, held in connection.execute(_WRAPS)),
        too_old=_some(connection, _TOO_OLD, values),
        incoming_left=_some(connection, _INCOMING_LEFT, values),
        previous_left=_some(connection, _PREVIOUS_LEFT, values),
        retired_left=_some(connection, _RETIRED_LEFT, values),
        not_under_newest=_some(connection, _NOT_UNDER_NEWEST, values) if values["newest"] else Some(),
        broken=_some(connection, _BROKEN, values),
        readers=readers,
        silent_readers=silent,
        lagging=tuple(
            Reader(reader=str(reader), host=host, pid=pid, epoch=at, seen_at=seen, behind_since=since)
            for reader, host, pid, at, seen, since in connection.execute(_LAGGING, values)
        ),
    )


def _one(connection: Connection, statement: LiteralString, values: Mapping[str, Any]) -> tuple[Any, ...]:
    row = connection.execute(statement, values).fetchone()
    if row is None:
        msg = "an aggregate answers one row"
        raise AssertionError(msg)
    return row


def _some(connection: Connection, condition: LiteralString, values: Mapping[str, Any]) -> Some:
    rows = connection.execute(_FIRST.replace("-- condition", condition), values).fetchall()
    first = tuple(Generation(tenant=row[1], number=row[2], key_id=row[3], since=row[4]) for row in rows)
    return Some(total=rows[0][0] if rows else 0, first=first)


_TOTALS = """
SELECT clock_timestamp(), (SELECT version_num FROM keyring.alembic_version),
       (SELECT coalesce(max(epoch), 0) FROM keyring.epochs),
       (SELECT count(*) FROM keyring.tenants), (SELECT count(erased_at) FROM keyring.tenants),
       (SELECT count(*) FROM keyring.readers),
       (SELECT count(*) FROM keyring.readers WHERE seen_at <= clock_timestamp() - %(silent)s)
"""

_STATES = "SELECT state, count(*), min(created_at) FROM keyring.generations GROUP BY state ORDER BY state"

_WRAPS = """
SELECT w.kek, count(*), count(DISTINCT g.tenant)
FROM keyring.wraps w JOIN keyring.generations g USING (key_id) GROUP BY w.kek ORDER BY w.kek
"""

# Oldest first, so that a bounded list names those that wait longest; the window counts all before the bound.
_FIRST: LiteralString = """
SELECT count(*) OVER (), tenant, number, key_id, since FROM (
-- condition
) found ORDER BY since, tenant, number LIMIT %(most)s
"""

# By age of the key, not of its being current: what counts is for how long it may have encrypted.
_TOO_OLD = """
SELECT tenant, number, key_id, created_at AS since FROM keyring.generations
WHERE state = 'current' AND created_at < clock_timestamp() - %(current)s
"""

_INCOMING_LEFT = """
SELECT tenant, number, key_id, created_at AS since FROM keyring.generations
WHERE state = 'incoming' AND created_at < clock_timestamp() - %(incoming)s
"""

_PREVIOUS_LEFT = """
SELECT tenant, number, key_id, superseded_at AS since FROM keyring.generations
WHERE state = 'previous' AND superseded_at < clock_timestamp() - %(previous)s
"""

_RETIRED_LEFT = """
SELECT tenant, number, key_id, retired_at AS since FROM keyring.generations
WHERE state = 'retired' AND retired_at < clock_timestamp() - %(retired)s
"""

# What applications read and write: older states are on their way out, and are unwrapped by the version that has them.
_NOT_UNDER_NEWEST = """
SELECT g.tenant, g.number, g.key_id, coalesce(g.activated_at, g.created_at) AS since FROM keyring.generations g
WHERE g.state IN ('current', 'incoming') AND NOT EXISTS (
    SELECT FROM keyring.wraps w WHERE w.key_id = g.key_id AND right(w.kek, length(%(newest)s) + 1) = '/' || %(newest)s)
"""

_BROKEN = """
SELECT g.tenant, g.number, g.key_id, g.created_at AS since FROM keyring.generations g
WHERE (g.state = 'destroyed') = EXISTS (SELECT FROM keyring.wraps w WHERE w.key_id = g.key_id)
   OR g.state <> 'destroyed' AND EXISTS (
       SELECT FROM keyring.tenants t WHERE t.tenant = g.tenant AND t.erased_at IS NOT NULL)
UNION ALL
SELECT t.tenant, 0, 0, t.enrolled_at FROM keyring.tenants t WHERE t.erased_at IS NULL AND 1 <> (
    SELECT count(*) FROM keyring.generations g WHERE g.tenant = t.tenant AND g.state = 'current')
"""

_LAGGING = """
SELECT r.reader, r.host, r.pid, r.epoch, r.seen_at, missed.since FROM keyring.readers r
CROSS JOIN LATERAL (
    SELECT noted_at AS since FROM keyring.epochs e WHERE e.epoch > r.epoch ORDER BY e.epoch LIMIT 1) missed
WHERE r.seen_at > clock_timestamp() - %(silent)s AND missed.since < clock_timestamp() - %(lag)s
ORDER BY missed.since, r.host, r.pid LIMIT %(most)s
"""
