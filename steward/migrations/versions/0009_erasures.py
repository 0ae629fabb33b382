"""Whom Steward erased, and the keyring's backups that may still have them: kept outside the keyring, which may come back."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for statement in (ERASURES, REFUSE, STAY, NEVER, BACKUPS, NOT_PRUNED):
        op.execute(statement)


def downgrade() -> None:
    msg = "erasures are records; a schema is never taken back"
    raise NotImplementedError(msg)


ERASURES = """
CREATE TABLE steward.erasures (
    tenant text PRIMARY KEY CHECK (octet_length(tenant) BETWEEN 1 AND 255),
    reason text NOT NULL CHECK (reason <> ''),
    -- Of the ledger; NULL: found erased in the keyring, by whatever hand. No foreign key: the list outlives the ledger.
    operation_id bigint NULL,
    -- Before the keys go: a keyring that is restored in between is erased again.
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- By the keyring's clock.
    erased_at timestamptz NULL,
    complete_after timestamptz NULL,
    completed_at timestamptz NULL,
    completed_by bigint NULL,
    CHECK (completed_at IS NULL OR erased_at IS NOT NULL)
)
"""

# A name that is lost here comes back with the next restore of the keyring.
REFUSE = """
CREATE FUNCTION steward.refuse_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of steward.% is refused: who was erased stays erased', TG_OP, TG_TABLE_NAME;
END $$
"""

STAY = """
CREATE TRIGGER stay BEFORE DELETE ON steward.erasures FOR EACH ROW EXECUTE FUNCTION steward.refuse_forgetting()
"""

NEVER = """
CREATE TRIGGER never BEFORE TRUNCATE ON steward.erasures EXECUTE FUNCTION steward.refuse_forgetting()
"""

# Entered before the object is stored. What is in the bucket and not in here may hold anybody's keys.
BACKUPS = """
CREATE TABLE steward.keyring_backups (
    key text PRIMARY KEY,
    operation_id bigint NOT NULL,
    taken_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    rows jsonb NOT NULL,
    -- Tenants whose keys it does not have, for they were erased before.
    erased text[] NOT NULL,
    -- NULL: not read back yet.
    verdict text NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    pruned_at timestamptz NULL
)
"""

NOT_PRUNED = "CREATE INDEX keyring_backups_there ON steward.keyring_backups (taken_at) WHERE pruned_at IS NULL"
