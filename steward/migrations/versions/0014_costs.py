"""What providers state of costs, as it was read; what each reading came to; and which of the provider's keys were the gateway's.

A reading is whole or not there, and what is entered once stays: a statement that a provider changes is read again, under
another name, beside the first. The database keeps these rules, so that no client can break them.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for statement in (
        READINGS,
        PAGES,
        GUARD_PAGES,
        *WHOLE,
        DAYS,
        GUARD_DAY,
        GUARD_DAYS,
        KEYS,
        STATEMENTS,
        ALERTS,
        LIFTED,
        *_append_only(),
    ):
        op.execute(statement)


def downgrade() -> None:
    msg = "costs are records; a schema is never taken back"
    raise NotImplementedError(msg)


READINGS = """
CREATE TABLE steward.cost_readings (
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    account steward.ai_name NOT NULL,
    day date NOT NULL,
    -- Why it was read: T+1, T+3, T+35, or what a person calls it.
    reading steward.ai_name NOT NULL CHECK (octet_length(reading) <= 40),
    provider steward.ai_name NOT NULL,
    -- By which usage was asked for.
    bucket_seconds integer NOT NULL CHECK (bucket_seconds IN (60, 3600)),
    pages integer NOT NULL CHECK (pages > 0),
    -- By this database's clock, before the first page was asked for.
    read_at timestamptz NOT NULL,
    operation_id bigint NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, day, reading)
)
"""

PAGES = """
CREATE TABLE steward.cost_pages (
    account steward.ai_name NOT NULL,
    day date NOT NULL,
    reading steward.ai_name NOT NULL,
    report steward.ai_name NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    object_key text NOT NULL,
    version_id text NOT NULL,
    bytes bigint NOT NULL CHECK (bytes > 0),
    read_at timestamptz NOT NULL,
    PRIMARY KEY (account, day, reading, report, number),
    FOREIGN KEY (account, day, reading) REFERENCES steward.cost_readings (account, day, reading)
)
"""

# Asked at the end of the transaction: none leaves a reading that lacks a page, and none adds one later.
GUARD_PAGES = """
CREATE FUNCTION steward.guard_cost_reading() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told integer;
    found integer;
BEGIN
    SELECT pages INTO told FROM steward.cost_readings
     WHERE account = NEW.account AND day = NEW.day AND reading = NEW.reading;
    SELECT count(*) INTO found FROM steward.cost_pages
     WHERE account = NEW.account AND day = NEW.day AND reading = NEW.reading;
    IF found <> told THEN
        RAISE EXCEPTION 'reading % of % on % has % pages, and % are entered', NEW.reading, NEW.account, NEW.day, told, found
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'readings_are_whole';
    END IF;
    RETURN NULL;
END $$
"""

WHOLE = tuple(
    f"""
    CREATE CONSTRAINT TRIGGER whole AFTER INSERT ON steward.{table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION steward.guard_cost_reading();
    ALTER TABLE steward.{table} ENABLE ALWAYS TRIGGER whole
    """
    for table in ("cost_readings", "cost_pages")
)

# What could not be had has no figure: no query makes a cost of nothing out of it.
DAYS = """
CREATE TABLE steward.cost_days (
    account steward.ai_name NOT NULL,
    day date NOT NULL,
    reading steward.ai_name NOT NULL CHECK (octet_length(reading) <= 40),
    verdict text NOT NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    -- Amounts are texts: a number of JSON is read as a float by most.
    figures jsonb NULL CHECK (jsonb_typeof(figures) = 'object'),
    -- Why it is UNKNOWN.
    reason text NULL,
    object_key text NULL,
    version_id text NULL,
    sha256 text NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    operation_id bigint NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, day, reading),
    CONSTRAINT figures_where_known CHECK ((verdict = 'UNKNOWN') = (figures IS NULL)),
    CONSTRAINT reason_where_unknown CHECK ((verdict = 'UNKNOWN') = (reason IS NOT NULL)),
    CONSTRAINT result_where_known CHECK (
        num_nulls(object_key, version_id, sha256) = CASE verdict WHEN 'UNKNOWN' THEN 3 ELSE 0 END
    )
)
"""

# What is known stays, and has pages that prove it. What could not be checked may be checked yet.
GUARD_DAY = """
CREATE FUNCTION steward.guard_cost_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.verdict <> 'UNKNOWN'
        OR (NEW.account, NEW.day, NEW.reading) IS DISTINCT FROM (OLD.account, OLD.day, OLD.reading)) THEN
        RAISE EXCEPTION '% of % on % is %, and stays', OLD.reading, OLD.account, OLD.day, OLD.verdict
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'known_stays_known',
                  HINT = 'read the day again under another name';
    END IF;
    IF NEW.verdict <> 'UNKNOWN' AND NOT EXISTS (
        SELECT FROM steward.cost_readings AS r
         WHERE r.account = NEW.account AND r.day = NEW.day AND r.reading = NEW.reading) THEN
        RAISE EXCEPTION '% of % on % is %, and no page of it was kept', NEW.reading, NEW.account, NEW.day, NEW.verdict
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'known_by_its_pages';
    END IF;
    NEW.entered_at := clock_timestamp();
    RETURN NEW;
END $$
"""

GUARD_DAYS = """
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON steward.cost_days FOR EACH ROW EXECUTE FUNCTION steward.guard_cost_day();
ALTER TABLE steward.cost_days ENABLE ALWAYS TRIGGER guard;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON steward.cost_days
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE steward.cost_days ENABLE ALWAYS TRIGGER append_only
"""

# The ledger names a key by its fingerprint, the provider by its id. A key that is deleted at the provider stays here.
KEYS = """
CREATE TABLE steward.provider_keys (
    account steward.ai_name NOT NULL,
    -- As ai_attempts.credential_version.
    fingerprint steward.ai_name NOT NULL,
    key_id steward.ai_name NOT NULL,
    -- The provider's project or workspace; empty: the provider names none.
    project text NOT NULL CHECK (octet_length(project) <= 200),
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, fingerprint)
)
"""

# The same period may be stated again, after a restatement: the newest counts, the earlier ones stay.
STATEMENTS = """
CREATE TABLE steward.cost_statements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- An account, or 'all'.
    subject steward.ai_name NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL CHECK (last_day >= first_day),
    verdict text NOT NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    figures jsonb NULL CHECK (jsonb_typeof(figures) = 'object'),
    object_key text NOT NULL,
    version_id text NOT NULL,
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    operation_id bigint NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (operation_id, subject, first_day, last_day),
    CONSTRAINT figures_where_known CHECK ((verdict = 'UNKNOWN') = (figures IS NULL))
)
"""

ALERTS = """
CREATE TABLE steward.budget_alerts (
    -- A tenant's name may be in it.
    budget text NOT NULL CHECK (octet_length(budget) BETWEEN 1 AND 400),
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    -- 50, 80, 100, 'forecast', or 'stop': in that month nothing more is to be spent on the subject.
    threshold steward.ai_name NOT NULL,
    scope text NOT NULL CHECK (scope IN ('tenant', 'project', 'provider')),
    subject text NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 400),
    limit_usd numeric(38, 12) NOT NULL CHECK (limit_usd > 0),
    -- Spent, or forecast where the threshold is.
    amount_usd numeric(38, 12) NOT NULL,
    hard_stop boolean NOT NULL,
    operation_id bigint NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (budget, month, threshold),
    CONSTRAINT stops_where_allowed CHECK (threshold <> 'stop' OR hard_stop)
)
"""

# A stop that a person lifts stays in the table, and is not in force any more. It is not raised again in that month.
LIFTED = """
CREATE TABLE steward.budget_stops_lifted (
    budget text NOT NULL,
    month date NOT NULL,
    threshold steward.ai_name NOT NULL DEFAULT 'stop' CHECK (threshold = 'stop'),
    who text NOT NULL CHECK (octet_length(who) BETWEEN 1 AND 400),
    why text NOT NULL CHECK (octet_length(btrim(why)) BETWEEN 1 AND 4000),
    lifted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (budget, month),
    FOREIGN KEY (budget, month, threshold) REFERENCES steward.budget_alerts (budget, month, threshold)
)
"""

# Always, so that a session in replica mode does not pass by.
APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON steward.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE steward.{table} ENABLE ALWAYS TRIGGER append_only
"""


def _append_only() -> list[str]:
    tables = ("cost_readings", "cost_pages", "provider_keys", "cost_statements", "budget_alerts", "budget_stops_lifted")
    return [APPEND_ONLY.format(table=table) for table in tables]
