"""Feature flags: what each is now, what it was, who changed it and why; and which users met what under it, counted once.

A flag changes by a new version or by a longer lease, and by nothing else. The database keeps these rules, so that no client can
break them: what is pushed to every application within a second must not rest on a client's care alone.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for statement in (
        SCHEMA,
        VERSIONS,
        FLAGS,
        GUARD,
        *GUARDS,
        REVISION,
        NOTE,
        *NOTES,
        OUTCOMES,
        TOTALS,
        HEARTBEATS,
        RECORD,
        CLOSED,
    ):
        op.execute(statement)


def downgrade() -> None:
    msg = "versions of flags are records; a schema is never taken back"
    raise NotImplementedError(msg)


SCHEMA = "CREATE SCHEMA flags"

# The audit trail: what was decided, by whom, and why. It is what a restore takes from.
VERSIONS = """
CREATE TABLE flags.versions (
    key text NOT NULL CHECK (key ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    version integer NOT NULL CHECK (version >= 1),
    state jsonb NOT NULL CHECK (jsonb_typeof(state) = 'object' AND octet_length(state::text) <= 262144),
    who text NOT NULL CHECK (who ~ '\\S' AND octet_length(who) <= 200),
    why text NOT NULL CHECK (why ~ '\\S' AND octet_length(why) <= 2000),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (key, version)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flags.versions
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE flags.versions ENABLE ALWAYS TRIGGER append_only
"""

# Of the lease, `state` has what it was when the version was made; the column has what it is.
FLAGS = """
CREATE TABLE flags.flags (
    key text PRIMARY KEY,
    version integer NOT NULL,
    state jsonb NOT NULL,
    description text NULL GENERATED ALWAYS AS (state ->> 'description') STORED,
    killed boolean NOT NULL GENERATED ALWAYS AS (state @> '{"killed": true}') STORED,
    -- NULL: under no lease.
    lease_until timestamptz NULL,
    -- The fencing token of whoever holds the lease: a smaller one comes too late.
    epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (key, version) REFERENCES flags.versions (key, version)
)
"""

GUARD = """
CREATE FUNCTION flags.guard_flag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'flag % stays: its history is of something', OLD.key
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'flags_stay', HINT = 'kill it instead';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.key <> OLD.key OR NEW.version NOT IN (OLD.version, OLD.version + 1) OR NEW.epoch < OLD.epoch THEN
            RAISE EXCEPTION 'flag % goes from version % (epoch %) to % (epoch %)',
                OLD.key, OLD.version, OLD.epoch, NEW.version, NEW.epoch
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'versions_follow';
        END IF;
        IF NEW.version = OLD.version AND NEW.lease_until IS DISTINCT FROM OLD.lease_until
           AND NOT coalesce(NEW.lease_until > OLD.lease_until AND OLD.lease_until > clock_timestamp(), false) THEN
            RAISE EXCEPTION 'the lease of flag % is only made longer, and only while it lives', OLD.key
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'leases_end';
        END IF;
    END IF;
    IF NEW.state IS DISTINCT FROM
       (SELECT v.state FROM flags.versions v WHERE v.key = NEW.key AND v.version = NEW.version) THEN
        RAISE EXCEPTION 'flag % is not what its version % says', NEW.key, NEW.version
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'as_its_version';
    END IF;
    -- Of the version: a longer lease is no change that anybody decided.
    NEW.updated_at := CASE WHEN TG_OP = 'UPDATE' AND NEW.version = OLD.version THEN OLD.updated_at ELSE clock_timestamp() END;
    RETURN NEW;
END $$
"""

GUARDS = (
    """
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON flags.flags FOR EACH ROW EXECUTE FUNCTION flags.guard_flag();
ALTER TABLE flags.flags ENABLE ALWAYS TRIGGER guard
""",
    """
CREATE TRIGGER never BEFORE TRUNCATE ON flags.flags FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE flags.flags ENABLE ALWAYS TRIGGER never
""",
)

# One number for all flags: whoever has read at a revision has seen all changes up to it. It goes by the clock, in milliseconds, so
# that what is changed in a database that was restored from a backup is newer than all that was served before it broke.
REVISION = """
CREATE TABLE flags.revision (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    number bigint NOT NULL DEFAULT 0
);
INSERT INTO flags.revision DEFAULT VALUES
"""

NOTE = """
CREATE FUNCTION flags.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE reached bigint;
BEGIN
    UPDATE flags.revision SET number = greatest(number + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    RETURNING number INTO reached;
    PERFORM pg_notify('flags', reached::text);
    RETURN NULL;
END $$
"""

# Deferred to the commit: the one row is locked for its length, and no client that hangs in a transaction keeps others from
# killing their flags.
NOTES = (
    """
CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON flags.flags DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION flags.note_change();
ALTER TABLE flags.flags ENABLE ALWAYS TRIGGER note
""",
)

# A user's first of a kind in a step. Who it is cannot be told from it: applications send a salted hash.
OUTCOMES = """
CREATE TABLE flags.outcomes (
    flag text NOT NULL,
    rollout text NOT NULL,
    step integer NOT NULL,
    kind text NOT NULL,
    user_hash bytea NOT NULL CHECK (octet_length(user_hash) = 16),
    -- The one that came first.
    variant text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (flag, rollout, step, kind, user_hash)
)
"""

TOTALS = """
CREATE TABLE flags.totals (
    flag text NOT NULL CHECK (octet_length(flag) BETWEEN 1 AND 200),
    rollout text NOT NULL CHECK (octet_length(rollout) BETWEEN 1 AND 200),
    step integer NOT NULL CHECK (step >= 0),
    variant text NOT NULL CHECK (octet_length(variant) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    users bigint NOT NULL CHECK (users > 0),
    PRIMARY KEY (flag, rollout, step, variant, kind)
)
"""

# Of processes that write outcomes: no news from one that lives is news.
HEARTBEATS = """
CREATE TABLE flags.heartbeats (
    instance text PRIMARY KEY CHECK (octet_length(instance) BETWEEN 1 AND 200),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

# What is repeated finds its rows there and adds nothing; what runs at the same time waits for the row, and then finds it. Rows
# are taken in the order of their keys, so that two batches with the same users wait for each other in one direction only.
RECORD = """
CREATE FUNCTION flags.record(instance text, outcomes jsonb)
RETURNS TABLE (flag text, rollout text, step integer, variant text, kind text, users bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF jsonb_typeof(record.outcomes) IS DISTINCT FROM 'array' OR jsonb_array_length(record.outcomes) > 10000 THEN
        RAISE EXCEPTION 'expected an array of at most 10000 outcomes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH told AS (
        SELECT DISTINCT ON (t.flag, t.rollout, t.step, t.kind, t."user")
               t.flag, t.rollout, t.step, t.kind, decode(t."user", 'hex') AS user_hash, t.variant
          FROM ROWS FROM (
              jsonb_to_recordset(record.outcomes)
                  AS (flag text, rollout text, step integer, kind text, "user" text, variant text)
          ) WITH ORDINALITY AS t (flag, rollout, step, kind, "user", variant, place)
         ORDER BY t.flag, t.rollout, t.step, t.kind, t."user", t.place
    ), fresh AS (
        INSERT INTO flags.outcomes (flag, rollout, step, kind, user_hash, variant)
        SELECT flag, rollout, step, kind, user_hash, variant FROM told ORDER BY flag, rollout, step, kind, user_hash
        ON CONFLICT DO NOTHING
        RETURNING flag, rollout, step, variant, kind
    )
    INSERT INTO flags.totals AS sum (flag, rollout, step, variant, kind, users)
    SELECT flag, rollout, step, variant, kind, count(*) FROM fresh
     GROUP BY flag, rollout, step, variant, kind ORDER BY flag, rollout, step, variant, kind
    ON CONFLICT (flag, rollout, step, variant, kind) DO UPDATE SET users = sum.users + EXCLUDED.users;
    UPDATE flags.heartbeats SET at = clock_timestamp() WHERE instance = record.instance;
    IF NOT FOUND THEN
        INSERT INTO flags.heartbeats (instance) VALUES (record.instance)
        ON CONFLICT (instance) DO UPDATE SET at = clock_timestamp();
        -- Instances have names of their own at each start: those that are long gone make room for the new one.
        DELETE FROM flags.heartbeats WHERE instance IN (
            SELECT h.instance FROM flags.heartbeats h WHERE h.at < clock_timestamp() - interval '7 days'
            FOR UPDATE SKIP LOCKED
        );
    END IF;
    RETURN QUERY
    SELECT s.flag, s.rollout, s.step, s.variant, s.kind, s.users
      FROM flags.totals s
      JOIN (SELECT DISTINCT t.flag, t.rollout, t.step
              FROM jsonb_to_recordset(record.outcomes) AS t (flag text, rollout text, step integer)) asked
        ON (s.flag, s.rollout, s.step) = (asked.flag, asked.rollout, asked.step)
     ORDER BY s.flag, s.rollout, s.step, s.variant, s.kind;
END $$
"""

# Functions are everybody's unless it is said; what applications' user may, `steward migrate` grants (steward/migrations/guests.py).
CLOSED = "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA flags FROM PUBLIC"
