"""The statements of `snapshot_blobs`: tables of migration 0019, and the catalogue of nights."""

from __future__ import annotations

# Statements over millions of blobs.
PATIENCE = "SET LOCAL statement_timeout = '900s'"

BODY = "SELECT body FROM steward.snapshot_manifests WHERE cluster = %(cluster)s AND snapshot = %(snapshot)s"

TO_TAKE_UP = """
SELECT m.snapshot, m.night, m.repository_uuid, m.body
  FROM steward.snapshot_manifests m JOIN steward.snapshot_nights n USING (cluster, snapshot)
 WHERE m.cluster = %(cluster)s AND m.repository = %(repository)s AND m.taken_up_at IS NULL AND n.verdict = 'VERIFIED'
 ORDER BY m.night, m.generation FOR UPDATE OF m
"""

TAKEN_UP = """
UPDATE steward.snapshot_manifests SET taken_up_at = clock_timestamp()
 WHERE cluster = %(cluster)s AND snapshot = %(snapshot)s
"""

LISTED = "CREATE TEMP TABLE listed_blobs (path text PRIMARY KEY, bytes bigint, sha256 text) ON COMMIT DROP"

# What was known keeps what it was: a night with another reading of it is not VERIFIED.
BEGIN = """
INSERT INTO steward.snapshot_blobs AS b (repository, path, bytes, sha256, first_night, read_night)
SELECT %(repository)s, path, bytes, sha256, %(night)s, %(night)s FROM listed_blobs
    ON CONFLICT (repository, path) DO UPDATE
   SET first_night = coalesce(b.first_night, excluded.first_night),
       bytes = CASE WHEN b.first_night IS NULL THEN excluded.bytes ELSE b.bytes END,
       sha256 = CASE WHEN b.first_night IS NULL THEN excluded.sha256 ELSE b.sha256 END,
       last_night = NULL,
       noted_by = NULL
 WHERE b.first_night IS NULL OR b.last_night IS NOT NULL
"""

END = """
UPDATE steward.snapshot_blobs b
   SET last_night = greatest(b.first_night, (
           SELECT max(night) FROM steward.snapshot_manifests
            WHERE repository_uuid = %(repository)s AND taken_up_at IS NOT NULL))
 WHERE b.repository = %(repository)s AND b.first_night IS NOT NULL AND b.last_night IS NULL
   AND NOT EXISTS (SELECT FROM listed_blobs l WHERE l.path = b.path)
"""

FORGET_EXPIRED = """
DELETE FROM steward.snapshot_manifests
 WHERE cluster = %(cluster)s AND taken_up_at IS NOT NULL AND snapshot IN (SELECT snapshot FROM steward.snapshots_expired WHERE cluster = %(cluster)s)
"""

FORGET_UNTRUSTED = """
DELETE FROM steward.snapshot_manifests
 WHERE cluster = %(cluster)s AND repository = %(repository)s AND taken_up_at IS NULL AND night < %(night)s
"""

FORGET_BLOBS = """
DELETE FROM steward.snapshot_blobs b USING (
    SELECT repository_uuid, min(night) AS oldest FROM steward.snapshot_manifests
     WHERE taken_up_at IS NOT NULL GROUP BY repository_uuid) m
 WHERE b.repository = m.repository_uuid AND b.last_night < m.oldest
"""

MANIFESTS = """
SELECT m.snapshot, m.snapshot_uuid, m.night, m.repository_uuid, m.generation
  FROM steward.snapshot_manifests m JOIN steward.snapshot_nights n USING (cluster, snapshot)
 WHERE m.cluster = %(cluster)s AND m.repository = %(repository)s
   AND n.verdict = 'VERIFIED' AND m.snapshot NOT IN (SELECT snapshot FROM steward.snapshots_expired WHERE cluster = %(cluster)s)
 ORDER BY m.night, n.attempt
"""

KNOWN = """
SELECT path, bytes, sha256, read_night, first_night, last_night FROM steward.snapshot_blobs
 WHERE repository = %(repository)s AND first_night IS NOT NULL
"""

NOTED = """
SELECT path, bytes, sha256 FROM steward.snapshot_blobs WHERE repository = %(uuid)s AND noted_by IS NOT NULL
"""

# A repository whose first reading takes longer than a night is read in several: what they read counts until one is REFUTED.
FORGET_NOTES = """
DELETE FROM steward.snapshot_blobs b
 WHERE b.repository = %(uuid)s AND b.noted_by IS NOT NULL AND b.noted_by <> %(by)s
   AND (b.read_night < %(night)s::date - %(days)s
        OR EXISTS (SELECT FROM steward.snapshot_nights n
                    WHERE n.cluster = %(cluster)s AND n.night = b.read_night AND n.verdict = 'REFUTED'))
"""

NOTE = """
INSERT INTO steward.snapshot_blobs (repository, path, bytes, sha256, read_night, noted_by)
SELECT %(repository)s, *, %(night)s, %(by)s
  FROM unnest(%(paths)s::text[], %(bytes)s::bigint[], %(digests)s::text[])
    ON CONFLICT (repository, path) DO NOTHING
"""

CONFIRM = """
UPDATE steward.snapshot_blobs SET read_night = %(night)s
 WHERE repository = %(repository)s AND path = ANY(%(confirmed)s) AND read_night < %(night)s
"""

VERIFIED = """
SELECT snapshot, night FROM steward.snapshot_nights
 WHERE cluster = %(cluster)s AND verdict = 'VERIFIED' AND report ->> 'repository' = %(repository)s
   AND snapshot NOT IN (SELECT snapshot FROM steward.snapshots_expired WHERE cluster = %(cluster)s)
   AND snapshot NOT IN (SELECT snapshot FROM steward.snapshots_gone WHERE cluster = %(cluster)s AND told_by <> %(by)s)
"""

TELL_GONE = """
INSERT INTO steward.snapshots_gone (cluster, snapshot, told_by)
SELECT %(cluster)s, unnest(%(snapshots)s::text[]), %(by)s ON CONFLICT (cluster, snapshot) DO NOTHING
"""

KEEP = """
INSERT INTO steward.snapshot_manifests
       (cluster, snapshot, snapshot_uuid, night, repository, repository_uuid, generation, entries, bytes, sha256, body)
VALUES (%(cluster)s, %(snapshot)s, %(snapshot_uuid)s, %(night)s, %(repository)s, %(uuid)s, %(generation)s, %(entries)s,
        %(bytes)s, %(sha256)s, %(body)s)
    ON CONFLICT (cluster, snapshot) DO UPDATE
   SET generation = excluded.generation, entries = excluded.entries, bytes = excluded.bytes,
       sha256 = excluded.sha256, body = excluded.body
 WHERE snapshot_manifests.taken_up_at IS NULL
"""

COPIES = """
SELECT path, bytes, sha256, version, locked_until FROM steward.snapshot_copies WHERE repository = %(repository)s
"""

KEEP_COPIES = """
INSERT INTO steward.snapshot_copies (repository, path, bytes, sha256, version, locked_until)
SELECT %(repository)s, * FROM unnest(
           %(paths)s::text[], %(bytes)s::bigint[], %(digests)s::text[], %(versions)s::text[], %(locked)s::timestamptz[])
    ON CONFLICT (repository, path) DO UPDATE
   SET bytes = excluded.bytes, sha256 = excluded.sha256, version = excluded.version, locked_until = excluded.locked_until
"""

FORGET_COPIES = """
DELETE FROM steward.snapshot_copies WHERE repository = %(repository)s AND path = ANY(%(paths)s)
"""
