"""The statements of the journal of key calls, each by what it does."""

from __future__ import annotations

# Sent again where the answer was lost.
ANNOUNCE = """
INSERT INTO steward.key_calls (request_id, operation_id, command, action, name, version, purpose)
VALUES (%(request_id)s, %(operation_id)s, %(command)s, %(action)s, %(name)s, %(version)s, %(purpose)s)
ON CONFLICT (request_id) DO NOTHING
"""

NOW = "SELECT clock_timestamp()"

ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"

# Not where another of the same operation may be on its way that was not there to be seen since `since`.
ANNOUNCE_ALONE = """
INSERT INTO steward.key_calls (request_id, operation_id, command, action, name, version, purpose)
SELECT %(request_id)s, %(operation_id)s::bigint, %(command)s, %(action)s, %(name)s, %(version)s, %(purpose)s
WHERE NOT EXISTS (
    SELECT FROM steward.key_calls
    WHERE action = 'KeyCreate' AND name = %(name)s
      AND operation_id IS NOT DISTINCT FROM %(operation_id)s::bigint AND command IS NOT DISTINCT FROM %(command)s
      AND noted_at > %(since)s - make_interval(secs => %(in_flight)s) AND request_id <> %(request_id)s)
ON CONFLICT (request_id) DO NOTHING
"""

ANNOUNCED = "SELECT 1 FROM steward.key_calls WHERE request_id = %(request_id)s"

LOCK = "LOCK TABLE steward.key_calls IN SHARE MODE"

OF_OPERATION = """
SELECT id, request_id, operation_id, command, action, name, version, purpose, noted_at
FROM steward.key_calls WHERE operation_id = %s ORDER BY id
"""

OF_COMMAND = """
SELECT id, request_id, operation_id, command, action, name, version, purpose, noted_at
FROM steward.key_calls WHERE command = %s ORDER BY id
"""

ALL = """
SELECT id, request_id, operation_id, command, action, name, version, purpose, noted_at FROM steward.key_calls ORDER BY id
"""
