"""How far a rotation has come through applications' tables, and what it wrote itself to see whether writes are lost."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for statement in (PARTS, WRITES):
        op.execute(statement)


def downgrade() -> None:
    msg = "what a rotation did is a record; a schema is never taken back"
    raise NotImplementedError(msg)


# A part that is done is here; another attempt goes on behind it. Done twice is harmless.
PARTS = """
CREATE TABLE steward.key_sweep_parts (
    operation_id bigint NOT NULL REFERENCES steward.operations,
    round integer NOT NULL,
    application text NOT NULL,
    leaf text NOT NULL,
    pass integer NOT NULL,
    first_page bigint NOT NULL,
    beyond_page bigint NOT NULL,
    rows_read bigint NOT NULL,
    replaced bigint NOT NULL,
    overtaken bigint NOT NULL,
    damaged bigint NOT NULL,
    resting_seconds double precision NOT NULL,
    seconds double precision NOT NULL,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (operation_id, round, application, leaf, pass, first_page)
)
"""

# Written before the row is, and again once that was acknowledged: the last acknowledged write must be there.
WRITES = """
CREATE TABLE steward.key_golden_writes (
    operation_id bigint NOT NULL REFERENCES steward.operations,
    round integer NOT NULL,
    application text NOT NULL,
    relation text NOT NULL,
    row_number integer NOT NULL,
    first bigint NOT NULL,
    intended bigint NOT NULL,
    acknowledged bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (operation_id, round, application, relation, row_number)
)
"""
