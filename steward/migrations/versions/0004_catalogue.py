"""The record of nights becomes a catalogue of snapshots: what a run has done and left is the ledger's."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE steward.snapshot_nights DROP CONSTRAINT snapshot_nights_pkey")
    op.execute("ALTER TABLE steward.snapshot_nights ADD PRIMARY KEY (cluster, snapshot)")
    op.execute("ALTER TABLE steward.snapshot_nights DROP COLUMN state, DROP COLUMN leftovers")
    op.execute("CREATE INDEX snapshots_of_a_night ON steward.snapshot_nights (cluster, night DESC, attempt DESC)")


def downgrade() -> None:
    msg = "nights are records; a schema is never taken back"
    raise NotImplementedError(msg)
