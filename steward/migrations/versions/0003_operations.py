"""The operation ledger: operations, their attempts, steps and effects, and what ought to happen when."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for statement in (TOKENS, OPERATIONS, RESOURCE, TO_RESUME, ATTEMPTS, STEPS, EFFECTS, LEFT, EXPECTATIONS, EXPIRED):
        op.execute(statement)


def downgrade() -> None:
    msg = "operations are records; a schema is never taken back"
    raise NotImplementedError(msg)


# One sequence for all operations, so that tokens rise across operations that share a resource. It starts where no
# counter of attempts has been, so that a name made before the ledger was there is never made again.
TOKENS = "CREATE SEQUENCE steward.fencing_tokens START 1000"

OPERATIONS = """
CREATE TABLE steward.operations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    subject text NOT NULL DEFAULT '',
    period text NOT NULL DEFAULT '',
    -- What must not be worked on twice at once: identity is not exclusion.
    resource text NOT NULL,
    state text NOT NULL DEFAULT 'due'
        CHECK (state IN ('due', 'running', 'waiting', 'done', 'failed', 'undone', 'cancelled', 'skipped')),
    verdict text NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    -- A conclusion other than VERIFIED may be followed by another round, with steps of its own.
    round integer NOT NULL DEFAULT 1,
    token bigint NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    -- host:pid:nonce, so that a claim whose answer was lost is recognised.
    owner text NULL,
    flow_run_id uuid NULL,
    lease interval NOT NULL DEFAULT '15 s',
    -- By this database's clock only.
    lease_until timestamptz NULL,
    -- One way: from here only undo, always and closing steps run.
    turned_back text NULL,
    undone_at timestamptz NULL,
    deployment_id uuid NULL,
    -- As Prefect has them: never a secret.
    parameters jsonb NOT NULL DEFAULT '{}',
    max_attempts integer NOT NULL DEFAULT 5 CHECK (max_attempts >= 1),
    -- The run made for the next attempt, and how many such runs ended before they claimed it.
    next_run_id uuid NULL,
    dispatches integer NOT NULL DEFAULT 0,
    resume_after timestamptz NULL,
    due_at timestamptz NULL,
    -- Over all attempts of a round; after it no forward step begins.
    deadline timestamptz NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    began_at timestamptz NULL,
    ended_at timestamptz NULL,
    result jsonb NULL,
    error text NULL,
    UNIQUE (name, subject, period)
)
"""

# A waiting operation still owns its resource: a rollout at 25 % is not to be overtaken while a person sleeps on it.
RESOURCE = """
CREATE UNIQUE INDEX one_holder_a_resource ON steward.operations (resource) WHERE state IN ('running', 'waiting')
"""

TO_RESUME = (
    "CREATE INDEX operations_to_resume ON steward.operations (state) WHERE state IN ('due', 'running', 'waiting')"
)

ATTEMPTS = """
CREATE TABLE steward.operation_attempts (
    token bigint PRIMARY KEY,
    operation_id bigint NOT NULL REFERENCES steward.operations,
    round integer NOT NULL,
    attempt integer NOT NULL,
    owner text NOT NULL,
    flow_run_id uuid NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz NULL,
    -- NULL: it died, or still runs.
    ended text NULL CHECK (ended IN ('done', 'failed', 'undone', 'waiting', 'released', 'superseded')),
    -- What it tried after it had lost the operation.
    refused integer NOT NULL DEFAULT 0,
    UNIQUE (operation_id, attempt)
)
"""

STEPS = """
CREATE TABLE steward.operation_steps (
    operation_id bigint NOT NULL REFERENCES steward.operations,
    round integer NOT NULL,
    name text NOT NULL,
    -- Tells the calls of one step apart: a tenant, a batch.
    key text NOT NULL DEFAULT '',
    -- The order of first intents; undoing goes backwards.
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('once', 'always', 'undo', 'closing')),
    state text NOT NULL DEFAULT 'intended' CHECK (state IN ('intended', 'refused', 'done')),
    -- Digest of the arguments: another call under an old name is refused.
    inputs text NOT NULL,
    -- The attempt that intended it last, and the call, so that an intent sent twice is not taken for doubt.
    token bigint NOT NULL,
    call uuid NOT NULL,
    -- Prefect's task run: another one under the same name in one attempt is two calls that one name cannot tell apart.
    caller text NOT NULL DEFAULT '',
    tries integer NOT NULL DEFAULT 1,
    result jsonb NULL,
    verdict text NULL CHECK (verdict IN ('VERIFIED', 'REFUTED', 'UNKNOWN')),
    error text NULL,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    intended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz NULL,
    PRIMARY KEY (operation_id, round, name, key)
)
"""

# What a step has made on another server, by that server's name for it: deletions name only what stands here.
EFFECTS = """
CREATE TABLE steward.operation_effects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id bigint NOT NULL REFERENCES steward.operations,
    round integer NOT NULL,
    step text NOT NULL,
    key text NOT NULL DEFAULT '',
    token bigint NOT NULL,
    kind text NOT NULL,
    effect_id text NOT NULL,
    detail jsonb NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz NULL,
    UNIQUE (operation_id, kind, effect_id, token)
)
"""

LEFT = "CREATE INDEX effects_left ON steward.operation_effects (operation_id) WHERE removed_at IS NULL"

# Since when an operation is expected: nothing before that was missed.
EXPECTATIONS = """
CREATE TABLE steward.operation_expectations (
    name text NOT NULL,
    subject text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, subject)
)
"""

# A lease does not run out while the database is away: nobody could renew it.
EXPIRED = """
CREATE FUNCTION steward.expired(lease_until timestamptz, lease interval) RETURNS boolean VOLATILE LANGUAGE sql
AS $$ SELECT clock_timestamp() > greatest(lease_until, pg_postmaster_start_time() + lease) $$
"""
