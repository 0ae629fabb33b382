"""Evidence is a log: each statement becomes an entry of one Merkle tree, in the transaction that records it.

The database appends by itself, so that no client, of an older version either, records a statement outside of the log.
Statements that were recorded before are taken in here, in the order of their ids.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for statement in (LOG, ENTRIES, NODES, CHECKPOINTS, ANCHORED, APPEND, ON_INSERT, TRIGGER, TAKE_IN, *_refusals()):
        op.execute(statement)


def downgrade() -> None:
    msg = "a log is append-only; a schema is never taken back"
    raise NotImplementedError(msg)


def _refusals() -> list[str]:
    tables = ("log", "log_entries", "log_nodes", "log_checkpoints", "log_anchored")
    return [REFUSAL.format(table=table) for table in tables]


# One row: which log this is. A database that is laid anew holds another log, and says so by its name; one that is
# restored from a backup holds this log as it was.
LOG = """
CREATE TABLE steward.log (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO steward.log DEFAULT VALUES;
"""

ENTRIES = """
CREATE TABLE steward.log_entries (
    index bigint PRIMARY KEY CHECK (index >= 0),
    evidence_id bigint NOT NULL UNIQUE
)
"""

# The perfect subtree (level, index) stands over the entries from index * 2^level on; leaves are level 0. A node is
# written when its last entry is appended, and never changes.
NODES = """
CREATE TABLE steward.log_nodes (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 62),
    index bigint NOT NULL CHECK (index >= 0),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, index)
)
"""

CHECKPOINTS = """
CREATE TABLE steward.log_checkpoints (
    size bigint PRIMARY KEY CHECK (size >= 0),
    note text NOT NULL,
    kid text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

# What is under Object Lock: a checkpoint of so many entries; the leaves' hashes up to so many entries.
ANCHORED = """
CREATE TABLE steward.log_anchored (
    kind text NOT NULL CHECK (kind IN ('checkpoint', 'leaves')),
    size bigint NOT NULL CHECK (size >= 0),
    object_key text NOT NULL,
    version_id text NOT NULL,
    anchored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, size)
)
"""

# RFC 6962, 2.1: leaf = SHA-256(0x00 || entry), node = SHA-256(0x01 || left || right). The row lock makes appends one
# at a time, so that indices have no gap; what is read after it is what the appender before has committed. A left
# sibling that is not there gives no hash, and the append fails.
APPEND = """
CREATE FUNCTION steward.append_to_log(statement bigint, entry text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place bigint;
    height smallint := 0;
    digest bytea := sha256('\\x00'::bytea || convert_to(entry, 'UTF8'));
BEGIN
    PERFORM 1 FROM steward.log FOR UPDATE;
    SELECT coalesce(max(e.index) + 1, 0) INTO place FROM steward.log_entries AS e;
    INSERT INTO steward.log_entries (index, evidence_id) VALUES (place, statement);
    INSERT INTO steward.log_nodes (level, index, hash) VALUES (height, place, digest);
    WHILE place % 2 = 1 LOOP
        digest := sha256('\\x01'::bytea || (
            SELECT n.hash FROM steward.log_nodes AS n WHERE n.level = height AND n.index = place - 1
        ) || digest);
        height := height + 1;
        place := place / 2;
        INSERT INTO steward.log_nodes (level, index, hash) VALUES (height, place, digest);
    END LOOP;
END
$$
"""

ON_INSERT = """
CREATE FUNCTION steward.append_statement_to_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM steward.append_to_log(NEW.id, NEW.envelope);
    RETURN NULL;
END
$$
"""

# Always, so that a session in replica mode does not pass by.
TRIGGER = """
CREATE TRIGGER append_to_log AFTER INSERT ON steward.evidence
    FOR EACH ROW EXECUTE FUNCTION steward.append_statement_to_log();
ALTER TABLE steward.evidence ENABLE ALWAYS TRIGGER append_to_log;
"""

# After the trigger, whose making keeps writers away until this is committed: none slips in between.
TAKE_IN = """
DO $$
DECLARE
    earlier record;
BEGIN
    FOR earlier IN SELECT e.id, e.envelope FROM steward.evidence AS e ORDER BY e.id LOOP
        PERFORM steward.append_to_log(earlier.id, earlier.envelope);
    END LOOP;
END
$$
"""

REFUSAL = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON steward.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION steward.refuse_change();
ALTER TABLE steward.{table} ENABLE ALWAYS TRIGGER append_only;
"""
