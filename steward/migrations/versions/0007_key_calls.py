"""The journal of key calls: one row a call of the vault, before it leaves."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for statement in (TABLE, *INDEXES, TRIGGER, ALWAYS):
        op.execute(statement)


def downgrade() -> None:
    msg = "the journal is append-only; a schema is never taken back"
    raise NotImplementedError(msg)


# No outcome: what became of a call is for the vault's own log to tell, which no user of this database can write.
TABLE = """
CREATE TABLE steward.key_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- x-ms-client-request-id, the vault's correlationId.
    request_id uuid NOT NULL UNIQUE,
    -- Of the ledger. No foreign key: what was announced stays, whatever becomes of the ledger.
    operation_id bigint NULL,
    -- What is no operation of the ledger: the same text when it is run again.
    command text NULL CHECK (length(command) BETWEEN 1 AND 300),
    -- The vault's operationName: KeyUnwrap, KeyCreate.
    action text NOT NULL CHECK (action <> ''),
    name text NOT NULL,
    version text NOT NULL,
    purpose text NOT NULL CHECK (length(purpose) BETWEEN 1 AND 200),
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT on_behalf_of_one CHECK (operation_id IS NULL OR command IS NULL)
)
"""

INDEXES = (
    "CREATE INDEX key_calls_of_an_operation ON steward.key_calls (operation_id, id) WHERE operation_id IS NOT NULL",
    "CREATE INDEX key_calls_of_a_command ON steward.key_calls (command, id) WHERE command IS NOT NULL",
    # A second attempt looks for what the first may have on its way.
    "CREATE INDEX key_versions_asked_for ON steward.key_calls (noted_at) WHERE action = 'KeyCreate'",
)

TRIGGER = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON steward.key_calls
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change()
"""

# In a session in replica mode too.
ALWAYS = "ALTER TABLE steward.key_calls ENABLE ALWAYS TRIGGER append_only"
