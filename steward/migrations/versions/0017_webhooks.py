"""Webhooks: every delivery that was acknowledged, and what was begun for it.

A delivery is a row before its sender is answered. It is one row however often and under however many ids it comes: the
sender's id, the event's own key and the body are each unique within a source.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for statement in (DELIVERIES, UNREAD, WITH_BODY, STARTS, DUE):
        op.execute(statement)


def downgrade() -> None:
    msg = "deliveries are records; a schema is never taken back"
    raise NotImplementedError(msg)


DELIVERIES = """
CREATE TABLE steward.webhook_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Its name in the settings.
    source text NOT NULL CHECK (source <> ''),
    -- The sender's id: X-GitHub-Delivery, webhook-id.
    delivery text NOT NULL CHECK (delivery <> ''),
    event text NOT NULL CHECK (event <> ''),
    action text,
    -- What happened, in the event's own words: a redelivery under another id has the same.
    key text NOT NULL CHECK (key <> ''),
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- As it was signed; of a reconciled one, as the sender's API tells it. Forgotten after a while, its digest never.
    body bytea,
    body_sha256 bytea NOT NULL CHECK (length(body_sha256) = 32),
    how text NOT NULL CHECK (how IN ('received', 'reconciled')),
    -- matched: what it starts is in webhook_starts, each with a state of its own. ignored: no rule names it.
    state text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'matched', 'ignored')),
    matched_at timestamptz,
    repeats integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    last_repeat_at timestamptz,
    -- The source last: what a planner has not seen of a table lets it take an index for one source's rows.
    UNIQUE (delivery, source),
    UNIQUE (key, source),
    UNIQUE (body_sha256, source),
    CHECK ((matched_at IS NULL) = (state = 'received')),
    -- What nothing was begun for yet needs its body.
    CHECK (body IS NOT NULL OR state <> 'received')
)
"""

UNREAD = "CREATE INDEX webhook_deliveries_unread ON steward.webhook_deliveries (id) WHERE state = 'received'"

WITH_BODY = """
CREATE INDEX webhook_deliveries_with_body ON steward.webhook_deliveries (received_at) WHERE body IS NOT NULL
"""

# One for each rule that a delivery fits.
STARTS = """
CREATE TABLE steward.webhook_starts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES steward.webhook_deliveries,
    rule text NOT NULL CHECK (rule <> ''),
    -- FLOW/DEPLOYMENT of Prefect's; absent where the rule decides.
    deployment text,
    -- What the rule made of the delivery when it was matched: a rule that is changed later changes no start.
    parameters jsonb,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'started', 'decided', 'refused')),
    run_id uuid,
    -- Why it was refused, how it was decided, or what it waits for.
    why text,
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    next_try_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz,
    UNIQUE (delivery_id, rule),
    CHECK ((done_at IS NULL) = (state = 'waiting')),
    CHECK ((run_id IS NOT NULL) = (state = 'started')),
    CHECK (state <> 'refused' OR why IS NOT NULL)
)
"""

DUE = "CREATE INDEX webhook_starts_due ON steward.webhook_starts (next_try_at) WHERE state = 'waiting'"
