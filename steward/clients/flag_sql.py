"""The flag store's statements, each by what it does."""

from __future__ import annotations

from typing import LiteralString

_COLUMNS: LiteralString = "version, state, extract(epoch FROM lease_until)::bigint, epoch, updated_at"

#: A process that hangs in a transaction with a flag of its own keeps others from killing it for so long, and no longer.
BOUND: LiteralString = "SET LOCAL idle_in_transaction_session_timeout = '2s'; SET LOCAL lock_timeout = '5s'"

NOW: LiteralString = "SELECT extract(epoch FROM clock_timestamp())"

REVISION: LiteralString = "SELECT number FROM flags.revision"

# One statement, so one moment: no flag is newer than the revision that is told with it.
STORE: LiteralString = """
SELECT r.number, f.key, f.version, f.state, extract(epoch FROM f.lease_until)::bigint, f.epoch, f.updated_at
  FROM flags.revision AS r LEFT JOIN flags.flags AS f ON true ORDER BY f.key
"""

READ: LiteralString = f"SELECT {_COLUMNS} FROM flags.flags WHERE key = %(key)s"  # noqa: S608  from constants

LOCK: LiteralString = f"{READ} FOR UPDATE"

HISTORY: LiteralString = """
SELECT version, state, who, why, at FROM flags.versions WHERE key = %(key)s ORDER BY version DESC LIMIT %(limit)s
"""

VERSION: LiteralString = """
SELECT version, state, who, why, at FROM flags.versions WHERE key = %(key)s AND version = %(version)s
"""

ADD_VERSION: LiteralString = """
INSERT INTO flags.versions (key, version, state, who, why) VALUES (%(key)s, %(version)s, %(state)s, %(who)s, %(why)s)
"""

MAKE: LiteralString = f"""
INSERT INTO flags.flags (key, version, state, lease_until, epoch)
VALUES (%(key)s, %(version)s, %(state)s, to_timestamp(%(until)s), %(epoch)s)
RETURNING {_COLUMNS}
"""  # noqa: S608  from constants

CHANGE: LiteralString = f"""
UPDATE flags.flags
   SET version = %(version)s, state = %(state)s, lease_until = to_timestamp(%(until)s), epoch = %(epoch)s
 WHERE key = %(key)s
RETURNING {_COLUMNS}
"""  # noqa: S608  from constants

RENEW: LiteralString = f"""
UPDATE flags.flags
   SET lease_until = greatest(lease_until, to_timestamp(%(until)s)), epoch = %(epoch)s
 WHERE key = %(key)s
RETURNING {_COLUMNS}
"""  # noqa: S608  from constants

# One that is killed has its version already, and gets no other.
KILL: LiteralString = """
WITH made AS (
    INSERT INTO flags.versions (key, version, state, who, why)
    SELECT key, version + 1, state || jsonb_build_object('killed', true, 'lease_until', extract(epoch FROM lease_until)::bigint),
           %(who)s, %(why)s
      FROM flags.flags WHERE key = %(key)s AND NOT killed
    RETURNING version, state
)
SELECT version FROM made UNION ALL SELECT version FROM flags.flags WHERE key = %(key)s AND killed
"""

KILLED: LiteralString = """
UPDATE flags.flags AS f SET version = v.version, state = v.state
  FROM flags.versions AS v
 WHERE f.key = %(key)s AND v.key = f.key AND v.version = %(version)s AND v.version > f.version
"""
