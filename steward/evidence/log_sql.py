"""The SQL of the log, by name. What appends to it is the database's own trigger: see migration 0006."""

from __future__ import annotations

LOG_ID = "SELECT id FROM steward.log"

#: Held until the transaction ends: no statement is recorded meanwhile.
HOLD = "SELECT id FROM steward.log FOR UPDATE"

SIZE = "SELECT coalesce(max(index) + 1, 0) FROM steward.log_entries"

NODES = """
SELECT n.level, n.index, n.hash
FROM steward.log_nodes AS n
JOIN unnest(%s::smallint[], %s::bigint[]) AS wanted (level, index) USING (level, index)
"""

ALL_NODES = "SELECT level, index, hash FROM steward.log_nodes"

INDEX_OF = "SELECT index FROM steward.log_entries WHERE evidence_id = %s"

ENTRIES = """
SELECT l.index, e.id, e.operation, e.subject, e.period, e.attempt, e.verdict, e.digest, e.key_id, e.envelope, e.recorded_at
FROM steward.log_entries AS l LEFT JOIN steward.evidence AS e ON e.id = l.evidence_id
WHERE l.index >= %(begin)s AND l.index < %(end)s
ORDER BY l.index
"""

OUTSIDE = """
SELECT e.digest FROM steward.evidence AS e
WHERE NOT EXISTS (SELECT FROM steward.log_entries AS l WHERE l.evidence_id = e.id) ORDER BY e.id
"""

NEWEST_CHECKPOINT = "SELECT size, note, kid FROM steward.log_checkpoints ORDER BY size DESC LIMIT 1"

CHECKPOINTS = "SELECT size, note, kid FROM steward.log_checkpoints ORDER BY size"

#: The first signature of one size counts: another of the same text says nothing new.
KEEP_CHECKPOINT = """
INSERT INTO steward.log_checkpoints (size, note, kid) VALUES (%s, %s, %s) ON CONFLICT (size) DO NOTHING
"""

CHECKPOINTS_NOT_ANCHORED = """
SELECT c.size, c.note, c.kid FROM steward.log_checkpoints AS c
WHERE NOT EXISTS (SELECT FROM steward.log_anchored AS a WHERE a.kind = 'checkpoint' AND a.size = c.size)
ORDER BY c.size
"""

LEAVES_ANCHORED = "SELECT coalesce(max(size), 0) FROM steward.log_anchored WHERE kind = 'leaves'"

KEEP_ANCHORED = """
INSERT INTO steward.log_anchored (kind, size, object_key, version_id) VALUES (%s, %s, %s, %s)
ON CONFLICT (kind, size) DO NOTHING
"""
