"""The keyring's statements, each by what it does."""

from __future__ import annotations

# One statement, so one moment: no generation is newer than the epoch that is told with it.
LOAD = """
SELECT t.erased_at IS NOT NULL, (SELECT coalesce(max(epoch), 0) FROM keyring.epochs),
       g.key_id, g.number, g.state, g.created_at,
       ARRAY(SELECT w.kek FROM keyring.wraps w WHERE w.key_id = g.key_id ORDER BY w.ordinal DESC),
       ARRAY(SELECT w.wrapped FROM keyring.wraps w WHERE w.key_id = g.key_id ORDER BY w.ordinal DESC)
FROM keyring.tenants t JOIN keyring.generations g USING (tenant)
WHERE t.tenant = %(tenant)s ORDER BY g.number
"""

# The row of a tenant orders all that happens to its keys.
LOCK = "SELECT erased_at IS NOT NULL FROM keyring.tenants WHERE tenant = %s FOR UPDATE"

ENROL = "INSERT INTO keyring.tenants (tenant) VALUES (%s) ON CONFLICT DO NOTHING RETURNING tenant"

NEXT_NUMBER = "SELECT max(number) + 1 FROM keyring.generations WHERE tenant = %s"

INSERT_GENERATION = "INSERT INTO keyring.generations (key_id, tenant, number, state) VALUES (%s, %s, %s, %s)"

INSERT_WRAP = "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (%s, %s, %s)"

ERASE = (
    "UPDATE keyring.tenants SET erased_at = clock_timestamp() WHERE tenant = %s",
    "DELETE FROM keyring.wraps WHERE key_id IN (SELECT key_id FROM keyring.generations WHERE tenant = %s)",
    "UPDATE keyring.generations SET state = 'destroyed' WHERE tenant = %s AND state <> 'destroyed'",
)

# Bounded above too: what comes between the two questions is for the next time.
CHANGED = """
SELECT tenant, max(epoch) FROM keyring.epochs WHERE epoch > %s AND epoch <= %s GROUP BY tenant
"""

LAGGING = """
SELECT reader, host, pid, epoch, seen_at FROM keyring.readers
WHERE epoch < %(epoch)s AND seen_at > clock_timestamp() - %(silent)s ORDER BY epoch, seen_at
"""
