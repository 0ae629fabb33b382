"""How many of a golden row's writes were acknowledged: one whose answer was lost is intended, and is none of them."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(COUNT)


def downgrade() -> None:
    msg = "what a rotation did is a record; a schema is never taken back"
    raise NotImplementedError(msg)


# Of rotations before this column nobody counted; their evidence has what they told.
COUNT = "ALTER TABLE steward.key_golden_writes ADD COLUMN acknowledged_writes bigint NOT NULL DEFAULT 0"
