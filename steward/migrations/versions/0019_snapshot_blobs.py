"""The nightly snapshot under damage: what each blob of a repository was, of which blobs a snapshot consists, and their copies."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    for statement in (BLOBS, READINGS, MANIFESTS, EXPIRED, GONE, COPIES):
        op.execute(statement)


def downgrade() -> None:
    msg = "what blobs were is on record; a schema is never taken back"
    raise NotImplementedError(msg)


# By the repository's UUID: another one may be given its name. A blob without a first night was read by a night that is
# not VERIFIED, or not yet (which one, `noted_by` says), and is only not read again. One without a last night is in the newest
# VERIFIED snapshot.
BLOBS = """
CREATE TABLE steward.snapshot_blobs (
    repository text NOT NULL,
    path text NOT NULL,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    sha256 text NOT NULL CHECK (length(sha256) = 64),
    first_night date,
    last_night date CHECK (last_night >= first_night),
    read_night date NOT NULL,
    noted_by text,
    PRIMARY KEY (repository, path),
    CHECK ((first_night IS NULL) = (noted_by IS NOT NULL))
)
"""

READINGS = "CREATE INDEX snapshot_blobs_noted ON steward.snapshot_blobs (noted_by) WHERE noted_by IS NOT NULL"

# Trusted once its night is VERIFIED in steward.snapshot_nights; taken up once the blobs have its night.
MANIFESTS = """
CREATE TABLE steward.snapshot_manifests (
    cluster text NOT NULL,
    snapshot text NOT NULL,
    snapshot_uuid text NOT NULL,
    night date NOT NULL,
    repository text NOT NULL,
    repository_uuid text NOT NULL,
    generation bigint NOT NULL CHECK (generation >= 0),
    entries integer NOT NULL CHECK (entries > 0),
    bytes bigint NOT NULL CHECK (bytes > 0),
    sha256 text NOT NULL CHECK (length(sha256) = 64),
    body bytea NOT NULL,
    taken_up_at timestamptz,
    PRIMARY KEY (cluster, snapshot)
)
"""

# What the reports of VERIFIED nights let go.
EXPIRED = """
CREATE VIEW steward.snapshots_expired AS
SELECT cluster, jsonb_object_keys(report -> 'expired') AS snapshot FROM steward.snapshot_nights
 WHERE verdict = 'VERIFIED' AND jsonb_typeof(report -> 'expired') = 'object'
"""

# Told in one night's report, and in no later one.
GONE = """
CREATE TABLE steward.snapshots_gone (
    cluster text NOT NULL,
    snapshot text NOT NULL,
    told_by text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster, snapshot)
)
"""

# A copy is a fact whatever its night came to.
COPIES = """
CREATE TABLE steward.snapshot_copies (
    repository text NOT NULL,
    path text NOT NULL,
    bytes bigint NOT NULL CHECK (bytes >= 0),
    sha256 text NOT NULL CHECK (length(sha256) = 64),
    version text NOT NULL,
    locked_until timestamptz NOT NULL,
    PRIMARY KEY (repository, path)
)
"""
