"""The SQL of evidence, by name. Columns are written out: a later column must not surprise an older reader."""

from __future__ import annotations

APPEND = """
INSERT INTO steward.evidence (operation, subject, period, attempt, verdict, digest, key_id, envelope)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (operation, subject, period, attempt, digest) DO NOTHING
"""

EXACTLY = """
SELECT id, operation, subject, period, attempt, verdict, digest, key_id, envelope, recorded_at
FROM steward.evidence
WHERE operation = %s AND subject = %s AND period = %s AND attempt = %s AND digest = %s
"""

LIST = """
SELECT id, operation, subject, period, attempt, verdict, digest, key_id, envelope, recorded_at
FROM steward.evidence
WHERE (%(operation)s::text IS NULL OR operation = %(operation)s)
  AND (%(subject)s::text IS NULL OR subject = %(subject)s)
  AND (%(period)s::text IS NULL OR period = %(period)s)
  AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""

BY_DIGEST = """
SELECT id, operation, subject, period, attempt, verdict, digest, key_id, envelope, recorded_at
FROM steward.evidence WHERE starts_with(digest, %(prefix)s) ORDER BY id LIMIT 2
"""
