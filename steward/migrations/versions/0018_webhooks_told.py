"""Webhooks: what a sender is still to be told of its delivery is on record, so that no dispatcher's end loses it."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    for statement in (TELL_AT, UNTOLD):
        op.execute(statement)


def downgrade() -> None:
    msg = "deliveries are records; a schema is never taken back"
    raise NotImplementedError(msg)


# When it is to be told next; absent: nobody is to be told, or has been, or never will be. What ended before is told no more.
TELL_AT = """
ALTER TABLE steward.webhook_starts
    ADD COLUMN tell_at timestamptz,
    ADD CHECK (tell_at IS NULL OR state IN ('started', 'refused'))
"""

UNTOLD = "CREATE INDEX webhook_starts_untold ON steward.webhook_starts (tell_at) WHERE tell_at IS NOT NULL"
