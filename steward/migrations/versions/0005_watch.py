"""What the watch and people decide about operations: recorded, so that neither a crash nor a second watch repeats it."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for statement in (DECISIONS, DECISIONS_OF, ALARMS, UNSENT, SCHEDULE):
        op.execute(statement)


def downgrade() -> None:
    msg = "decisions are records; a schema is never taken back"
    raise NotImplementedError(msg)


# Attempts that died before an operation was reopened do not count against it any more.
DECISIONS = """
CREATE TABLE steward.operation_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id bigint NOT NULL REFERENCES steward.operations,
    round integer NOT NULL,
    decision text NOT NULL CHECK (decision IN ('happened', 'did not happen', 'reopened', 'cancelled')),
    step text NOT NULL DEFAULT '',
    key text NOT NULL DEFAULT '',
    because text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

DECISIONS_OF = "CREATE INDEX decisions_of_an_operation ON steward.operation_decisions (operation_id)"

# The dead man's switch. The id is made from what is told, so that two watches, or one that starts again, tell it once.
ALARMS = """
CREATE TABLE steward.operation_alarms (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    subject text NOT NULL,
    event text NOT NULL,
    overdue boolean NOT NULL,
    told jsonb NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- NULL: Prefect has not taken it yet.
    sent_at timestamptz NULL
)
"""

UNSENT = "CREATE INDEX alarms_to_send ON steward.operation_alarms (occurred_at) WHERE sent_at IS NULL"

# Under another schedule, nothing before the change was missed.
SCHEDULE = """
ALTER TABLE steward.operation_expectations
  ADD COLUMN cron text NOT NULL DEFAULT '', ADD COLUMN period text NOT NULL DEFAULT ''
"""
