"""One row for each attempt at a provider of AI, the workers that make them, and the hours that are closed and sealed.

The database keeps the rules, so that no client, of an older version either, can break them: a row moves forward, what it
says once it says for ever, and nothing comes to an hour that is closed.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for statement in (NAME, ATTEMPTS, *INDEXES, WORKERS, HOURS, GUARD_ATTEMPT, GUARD_HOUR, *_triggers()):
        op.execute(statement)


def downgrade() -> None:
    msg = "attempts are records; a schema is never taken back"
    raise NotImplementedError(msg)


# Printable and without a space: a prompt, a completion or a provider's message does not fit through it.
# Length apart from form: a bound in the expression costs 20 times as much.
NAME = """
CREATE DOMAIN steward.ai_name AS text CHECK (octet_length(VALUE) BETWEEN 1 AND 200 AND VALUE COLLATE "C" !~ '[^!-~]')
"""

ATTEMPTS = """
CREATE TABLE steward.ai_attempts (
    -- Made by the client before the provider's id exists.
    id uuid PRIMARY KEY,
    request uuid NOT NULL,
    ordinal smallint NOT NULL CHECK (ordinal >= 1),
    worker uuid NOT NULL,
    tenant text NOT NULL CHECK (octet_length(tenant) BETWEEN 1 AND 255),
    project steward.ai_name NULL,
    -- Of our own caller, never the provider's key.
    key_id steward.ai_name NOT NULL,
    provider steward.ai_name NOT NULL,
    account steward.ai_name NOT NULL,
    credential_version steward.ai_name NOT NULL,
    alias steward.ai_name NOT NULL,
    model_asked steward.ai_name NOT NULL,
    tier_asked steward.ai_name NULL,
    is_stream boolean NOT NULL,
    reserved_input bigint NOT NULL CHECK (reserved_input >= 0),
    reserved_output bigint NOT NULL CHECK (reserved_output >= 0),

    state text NOT NULL CHECK (state IN ('reserved', 'sent', 'settled', 'aborted', 'unknown')),
    -- By this database's clock, whatever the clients' say.
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz NULL,
    unknown_at timestamptz NULL,
    settled_at timestamptz NULL,

    ending steward.ai_name NULL,
    http_status smallint NULL CHECK (http_status BETWEEN 100 AND 599),
    error_class steward.ai_name NULL,
    provider_request_id steward.ai_name NULL,
    -- What the provider said, where another attempt has that id already: the figures count all the same.
    repeated_request_id steward.ai_name NULL,
    model_served steward.ai_name NULL,
    tier_served steward.ai_name NULL,
    prices_version steward.ai_name NULL,
    -- By the worker's monotonic clock, from the first byte that left.
    first_token_ms integer NULL CHECK (first_token_ms >= 0),
    latency_ms integer NULL CHECK (latency_ms >= 0),

    input_uncached bigint NULL CHECK (input_uncached >= 0),
    input_cached bigint NULL CHECK (input_cached >= 0),
    cache_write bigint NULL CHECK (cache_write >= 0),
    cache_write_5m bigint NULL CHECK (cache_write_5m >= 0),
    cache_write_1h bigint NULL CHECK (cache_write_1h >= 0),
    output bigint NULL CHECK (output >= 0),
    reasoning bigint NULL CHECK (reasoning BETWEEN 0 AND output),
    audio_input bigint NULL CHECK (audio_input >= 0),
    audio_output bigint NULL CHECK (audio_output BETWEEN 0 AND output),
    web_searches bigint NULL CHECK (web_searches >= 0),
    web_fetches bigint NULL CHECK (web_fetches >= 0),
    is_estimate boolean NOT NULL DEFAULT false,
    input_low bigint NULL CHECK (input_low >= 0),
    input_high bigint NULL CHECK (input_high >= input_low),
    output_low bigint NULL CHECK (output_low BETWEEN 0 AND output),
    output_high bigint NULL CHECK (output_high >= output),

    CONSTRAINT ended_where_it_is_over CHECK ((ending IS NULL) = (state IN ('reserved', 'sent'))),
    -- All figures or none: one that is missing is not zero.
    CONSTRAINT figures_where_settled CHECK (
        num_nulls(input_uncached, input_cached, cache_write, cache_write_5m, cache_write_1h, output, reasoning,
                  audio_input, audio_output, web_searches, web_fetches) = CASE state WHEN 'settled' THEN 0 ELSE 11 END
    ),
    CONSTRAINT bounds_where_estimated CHECK (
        num_nulls(input_low, input_high, output_low, output_high) = CASE WHEN is_estimate THEN 0 ELSE 4 END
    ),
    CHECK (state = 'settled' OR NOT is_estimate)
)
"""

INDEXES = (
    """
    CREATE UNIQUE INDEX ai_attempts_at_provider ON steward.ai_attempts (provider, provider_request_id, ordinal)
     WHERE provider_request_id IS NOT NULL
    """,
    "CREATE INDEX ai_attempts_in_time ON steward.ai_attempts (reserved_at)",
    "CREATE INDEX ai_attempts_open ON steward.ai_attempts (worker) WHERE state IN ('reserved', 'sent')",
)

WORKERS = """
CREATE TABLE steward.ai_workers (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 255),
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease interval NOT NULL,
    lease_until timestamptz NOT NULL,
    -- It said so itself.
    ended_at timestamptz NULL
)
"""

# Closed: nothing comes to it any more, and what it has stands. Sealed: what it has is under Object Lock, read back.
HOURS = """
CREATE TABLE steward.ai_hours (
    hour timestamptz PRIMARY KEY CHECK (extract(epoch FROM hour)::bigint % 3600 = 0),
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Rises where what was stored came back otherwise: a locked name cannot be taken again.
    edition smallint NOT NULL DEFAULT 1,
    rows bigint NULL CHECK (rows >= 0),
    object_key text NULL,
    version_id text NULL,
    sha256 text NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes bigint NULL,
    manifest_key text NULL,
    manifest_sha256 text NULL CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    operation_id bigint NULL,
    sealed_at timestamptz NULL,
    CHECK (num_nulls(rows, object_key, version_id, sha256, bytes, manifest_key, manifest_sha256, operation_id, sealed_at)
           IN (0, 9))
)
"""

# Whoever writes an attempt shares its hour, whoever closes the hour has it alone: so none is under way when it closes.
GUARD_ATTEMPT = """
CREATE FUNCTION steward.guard_ai_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state NOT IN ('reserved', 'sent') THEN
            RAISE EXCEPTION 'attempt % begins as %', NEW.id, NEW.state
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'attempt_moves_forward';
        END IF;
        NEW.reserved_at := clock_timestamp();
        NEW.sent_at := CASE NEW.state WHEN 'sent' THEN NEW.reserved_at END;
        NEW.unknown_at := NULL;
        NEW.settled_at := NULL;
    ELSE
        IF (OLD.state || '>' || NEW.state) NOT IN ('reserved>sent', 'reserved>aborted', 'sent>settled', 'sent>aborted',
                                                   'sent>unknown', 'unknown>settled', 'unknown>aborted') THEN
            RAISE EXCEPTION 'attempt % is %, and does not become %', NEW.id, OLD.state, NEW.state
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'attempt_moves_forward';
        END IF;
        IF (NEW.id, NEW.request, NEW.ordinal, NEW.worker, NEW.tenant, NEW.project, NEW.key_id, NEW.provider,
            NEW.account, NEW.credential_version, NEW.alias, NEW.model_asked, NEW.tier_asked, NEW.is_stream,
            NEW.reserved_input, NEW.reserved_output)
           IS DISTINCT FROM
           (OLD.id, OLD.request, OLD.ordinal, OLD.worker, OLD.tenant, OLD.project, OLD.key_id, OLD.provider,
            OLD.account, OLD.credential_version, OLD.alias, OLD.model_asked, OLD.tier_asked, OLD.is_stream,
            OLD.reserved_input, OLD.reserved_output) THEN
            RAISE EXCEPTION 'attempt % stays what it was asked to be', NEW.id
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'attempt_stays_itself';
        END IF;
        NEW.reserved_at := OLD.reserved_at;
        NEW.sent_at := CASE NEW.state WHEN 'sent' THEN clock_timestamp() ELSE OLD.sent_at END;
        NEW.unknown_at := CASE NEW.state WHEN 'unknown' THEN clock_timestamp() ELSE OLD.unknown_at END;
        NEW.settled_at := CASE WHEN NEW.state IN ('settled', 'aborted') THEN clock_timestamp() END;
    END IF;
    begun := to_timestamp(floor(extract(epoch FROM NEW.reserved_at) / 3600) * 3600);
    PERFORM pg_advisory_xact_lock_shared(7238516, (extract(epoch FROM begun) / 3600)::integer);
    -- A statement of its own, so it sees what the closer committed while this waited.
    IF EXISTS (SELECT FROM steward.ai_hours AS h WHERE h.hour = begun) THEN
        RAISE EXCEPTION 'attempt % belongs to the hour %, which is closed', NEW.id, begun AT TIME ZONE 'UTC'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hour_is_open',
                  HINT = 'what is found out later is told beside it, as a correction';
    END IF;
    RETURN NEW;
END $$
"""

GUARD_HOUR = """
CREATE FUNCTION steward.guard_ai_hour() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    open bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.sealed_at IS NOT NULL OR (NEW.hour, NEW.closed_at) IS DISTINCT FROM (OLD.hour, OLD.closed_at) THEN
            RAISE EXCEPTION 'the hour % is sealed', OLD.hour AT TIME ZONE 'UTC'
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'sealed_stays_sealed';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock(7238516, (extract(epoch FROM NEW.hour) / 3600)::integer);
    IF NEW.hour + interval '1 hour' > clock_timestamp() THEN
        RAISE EXCEPTION 'the hour % is not over', NEW.hour AT TIME ZONE 'UTC'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hour_is_over';
    END IF;
    SELECT count(*) INTO open FROM steward.ai_attempts AS a
     WHERE a.state IN ('reserved', 'sent') AND a.reserved_at < NEW.hour + interval '1 hour';
    IF open > 0 THEN
        RAISE EXCEPTION '% attempts of the hour % or before are open', open, NEW.hour AT TIME ZONE 'UTC'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'attempts_are_over';
    END IF;
    -- No gap, and nothing before the first.
    IF EXISTS (SELECT FROM steward.ai_hours)
       AND NOT EXISTS (SELECT FROM steward.ai_hours AS h WHERE h.hour = NEW.hour - interval '1 hour')
       OR NOT EXISTS (SELECT FROM steward.ai_hours)
       AND EXISTS (SELECT FROM steward.ai_attempts AS a WHERE a.reserved_at < NEW.hour) THEN
        RAISE EXCEPTION 'the hour before % is not closed', NEW.hour AT TIME ZONE 'UTC'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hours_follow_each_other';
    END IF;
    RETURN NEW;
END $$
"""


# Always, so that a session in replica mode does not pass by.
TRIGGERS = """
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON steward.{table} FOR EACH ROW EXECUTE FUNCTION steward.{guard}();
ALTER TABLE steward.{table} ENABLE ALWAYS TRIGGER guard;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON steward.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE steward.{table} ENABLE ALWAYS TRIGGER append_only;
"""


def _triggers() -> list[str]:
    guarded = {"ai_attempts": "guard_ai_attempt", "ai_hours": "guard_ai_hour"}
    return [TRIGGERS.format(table=table, guard=guard) for table, guard in guarded.items()]
