"""Evidence: one row a signed statement, append-only."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(REFUSAL)
    op.execute(TRIGGER)


def downgrade() -> None:
    msg = "evidence is append-only; a schema is never taken back"
    raise NotImplementedError(msg)


# The digest is checked by the database as well: no client can file an envelope under another statement's name.
TABLE = """
CREATE TABLE steward.evidence (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation text NOT NULL,
    subject text NOT NULL,
    period text NOT NULL,
    attempt integer NOT NULL CHECK (attempt >= 1),
    verdict text NOT NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    digest text NOT NULL,
    key_id text NOT NULL,
    envelope text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (operation, subject, period, attempt, digest),
    CONSTRAINT digest_names_the_payload
        CHECK (digest = encode(sha256(decode(envelope::json ->> 'payload', 'base64')), 'hex'))
);
CREATE INDEX evidence_digest ON steward.evidence (digest);
"""

REFUSAL = """
CREATE FUNCTION steward.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'append a new statement instead';
END
$$
"""

# For each statement, so that one which matches no row is refused too; always, so that a session in replica mode
# does not pass by. The table's owner can still drop the trigger: the locked copy is what resists the owner.
TRIGGER = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON steward.evidence
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE steward.evidence ENABLE ALWAYS TRIGGER append_only;
"""
