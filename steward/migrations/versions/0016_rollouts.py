"""Rollouts: who may expose users until when, what was judged and decided on the way, and which releases are certified.

One rollout an environment is under way, kept so by the database. Its lease says until when users may be exposed: an
expired one is never renewed, and whoever finds it expired withdraws the rollout.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for statement in (
        ROLLOUTS,
        ONE_UNDER_WAY,
        GUARD,
        GUARDED,
        RELEASES,
        JUDGEMENTS,
        DECISIONS,
        ROLL_BACKS,
        *_append_only(),
    ):
        op.execute(statement)


def downgrade() -> None:
    msg = "rollouts are records; a schema is never taken back"
    raise NotImplementedError(msg)


ROLLOUTS = """
CREATE TABLE steward.rollouts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id bigint NOT NULL UNIQUE,
    environment text NOT NULL CHECK (environment <> ''),
    release text NOT NULL CHECK (release <> ''),
    flag text NOT NULL CHECK (flag <> ''),
    -- What users are exposed to.
    variant text NOT NULL CHECK (variant <> ''),
    plan jsonb NOT NULL,
    state text NOT NULL DEFAULT 'preparing' CHECK (
        state IN ('preparing', 'exposing', 'baking', 'withdrawing', 'certified', 'rolled_back')),
    -- Of the plan's steps, from 1; 0: nobody is exposed yet.
    step integer NOT NULL DEFAULT 0 CHECK (step >= 0),
    -- Per cent of users.
    exposure integer NOT NULL DEFAULT 0 CHECK (exposure BETWEEN 0 AND 100),
    step_begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The fencing token of the attempt that may act for it.
    epoch bigint NOT NULL,
    lease interval NOT NULL CHECK (lease > interval '0'),
    lease_until timestamptz NOT NULL,
    colour text NOT NULL,
    -- What had the traffic before. Its release is unknown where none was ever put there by a rollout.
    previous_colour text NOT NULL,
    previous_release text,
    -- Milliseconds: the baseline's p95 before anybody was exposed. Slower than that is slow, for the whole rollout.
    slow_ms double precision CHECK (slow_ms > 0),
    -- Who withdrew it, why, and when.
    who text,
    why text,
    withdrawn_at timestamptz,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    exposed_at timestamptz,
    ended_at timestamptz,
    CHECK (colour <> previous_colour),
    CHECK ((ended_at IS NOT NULL) = (state IN ('certified', 'rolled_back'))),
    CHECK (state NOT IN ('withdrawing', 'rolled_back') OR (who IS NOT NULL AND why IS NOT NULL AND exposure = 0))
)
"""

ONE_UNDER_WAY = "CREATE UNIQUE INDEX rollouts_under_way ON steward.rollouts (environment) WHERE ended_at IS NULL"

# What was withdrawn is not exposed again, and what ended stays: whatever a late process asks for.
GUARD = """
CREATE FUNCTION steward.guard_rollout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'rollout % has ended', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.state = 'withdrawing' AND NEW.state NOT IN ('withdrawing', 'rolled_back') THEN
        RAISE EXCEPTION 'rollout % is withdrawn', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.epoch < OLD.epoch THEN
        RAISE EXCEPTION 'rollout % is held by a newer attempt', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_notify('rollouts', NEW.id::text);
    RETURN NEW;
END
$$
"""

GUARDED = """
CREATE TRIGGER guard_rollout BEFORE UPDATE ON steward.rollouts
    FOR EACH ROW EXECUTE FUNCTION steward.guard_rollout();
ALTER TABLE steward.rollouts ENABLE ALWAYS TRIGGER guard_rollout
"""

RELEASES = """
CREATE TABLE steward.releases (
    environment text NOT NULL,
    release text NOT NULL,
    -- Where it was put last.
    colour text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rollout bigint NOT NULL REFERENCES steward.rollouts,
    certified_at timestamptz,
    -- On whose word, where not every step was proved; absent: it was.
    certified_by text,
    revoked_at timestamptz,
    revoked_why text,
    PRIMARY KEY (environment, release),
    CHECK ((revoked_at IS NULL) = (revoked_why IS NULL))
)
"""

JUDGEMENTS = """
CREATE TABLE steward.rollout_judgements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollout bigint NOT NULL REFERENCES steward.rollouts,
    step integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decision text NOT NULL,
    judgement jsonb NOT NULL
);
CREATE INDEX rollout_judgements_newest ON steward.rollout_judgements (rollout, id)
"""

# What a person said: approval of a step, an override of a proof that cannot be had, or the way back.
DECISIONS = """
CREATE TABLE steward.rollout_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollout bigint NOT NULL REFERENCES steward.rollouts,
    step integer NOT NULL,
    decision text NOT NULL CHECK (decision IN ('approve', 'override', 'roll_back')),
    who text NOT NULL CHECK (who <> ''),
    why text NOT NULL CHECK (why <> ''),
    -- By which way it was said: the run's form, the API, a command.
    via text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


# Back to the last certified release after a rollout has ended: the flag of what is left is off by then.
ROLL_BACKS = """
CREATE TABLE steward.roll_backs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment text NOT NULL,
    release text NOT NULL,
    to_release text NOT NULL CHECK (to_release <> release),
    who text NOT NULL CHECK (who <> ''),
    why text NOT NULL CHECK (why <> ''),
    via text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX roll_backs_under_way ON steward.roll_backs (environment) WHERE ended_at IS NULL
"""

# Always, so that a session in replica mode does not pass by.
APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON steward.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE steward.{table} ENABLE ALWAYS TRIGGER append_only
"""


def _append_only() -> list[str]:
    return [APPEND_ONLY.format(table=table) for table in ("rollout_judgements", "rollout_decisions")]
