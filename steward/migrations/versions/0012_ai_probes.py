"""What the watch saw each time it asked a provider for its models: the uptime of accounts is made of these rows."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for statement in (PROBES, OF_AN_ACCOUNT, GUARD, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    msg = "probes are records; a schema is never taken back"
    raise NotImplementedError(msg)


# steward/ai/probing.py says which state follows from which answer.
PROBES = """
CREATE TABLE steward.ai_probes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account steward.ai_name NOT NULL,
    provider steward.ai_name NOT NULL,
    -- By this database's clock, whatever the watches' say.
    probed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL CHECK (state IN ('up', 'degraded', 'down', 'refused', 'unknown')),
    http_status smallint NULL CHECK (http_status BETWEEN 100 AND 599),
    latency_ms integer NULL CHECK (latency_ms >= 0),
    error_class steward.ai_name NULL,

    -- Nothing was asked, for our own key could not be read; else it took its time, whatever came of it.
    CONSTRAINT timed_where_asked CHECK ((state = 'unknown') = (latency_ms IS NULL)),
    CONSTRAINT unasked_has_no_status CHECK (state <> 'unknown' OR http_status IS NULL),
    CONSTRAINT answered_where_it_lives CHECK (state NOT IN ('up', 'degraded', 'refused') OR http_status IS NOT NULL),
    CONSTRAINT why_it_is_not_well CHECK (state = 'up' OR error_class IS NOT NULL)
)
"""

# A month of an account is read from the index alone.
OF_AN_ACCOUNT = "CREATE INDEX ai_probes_of_an_account ON steward.ai_probes (account, probed_at) INCLUDE (state)"

# Uptime is what people are held to: what is younger than the longest window that is told of stays as it was seen.
GUARD = """
CREATE FUNCTION steward.guard_ai_probe() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.probed_at > clock_timestamp() - interval '31 days' THEN
        RAISE EXCEPTION 'probe % is of the last 31 days, and stays', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'probes_are_kept';
    END IF;
    RETURN OLD;
END $$
"""

# Always, so that a session in replica mode does not pass by.
TRIGGERS = (
    "CREATE TRIGGER guard BEFORE DELETE ON steward.ai_probes FOR EACH ROW EXECUTE FUNCTION steward.guard_ai_probe()",
    "ALTER TABLE steward.ai_probes ENABLE ALWAYS TRIGGER guard",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON steward.ai_probes
        FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change()
    """,
    "ALTER TABLE steward.ai_probes ENABLE ALWAYS TRIGGER append_only",
)
