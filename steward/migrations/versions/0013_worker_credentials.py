"""What a worker tells of the providers' keys that it uses: by account, the key's fingerprint. Whoever revokes a key waits for it."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(CREDENTIALS)


def downgrade() -> None:
    msg = "attempts are records; a schema is never taken back"
    raise NotImplementedError(msg)


# NULL: it does not tell, which is not the same as using none.
CREDENTIALS = """
ALTER TABLE steward.ai_workers ADD COLUMN credentials jsonb NULL
    CHECK (jsonb_typeof(credentials) = 'object' AND octet_length(credentials::text) <= 65536)
"""
