"""Snapshot nights and tenants' proofs: what a night's run remembers, and since when each tenant is proved."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(NIGHTS)
    op.execute(PROOFS)


def downgrade() -> None:
    msg = "nights are records; a schema is never taken back"
    raise NotImplementedError(msg)


NIGHTS = """
CREATE TABLE steward.snapshot_nights (
    cluster text NOT NULL,
    night date NOT NULL,
    attempt integer NOT NULL CHECK (attempt >= 1),
    snapshot text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'proved', 'done')),
    verdict text NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    leftovers jsonb NOT NULL DEFAULT '{}',
    expectations jsonb NULL,
    report jsonb NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz NULL,
    PRIMARY KEY (cluster, night, attempt)
)
"""

PROOFS = """
CREATE TABLE steward.tenant_proofs (
    cluster text NOT NULL,
    tenant text NOT NULL,
    night date NOT NULL,
    digest text NOT NULL,
    documents bigint NOT NULL CHECK (documents >= 0),
    proved_at timestamptz NOT NULL,
    PRIMARY KEY (cluster, tenant, night)
)
"""
