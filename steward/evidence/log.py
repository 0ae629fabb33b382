"""The log of all statements as the database has it: entry i is the i-th statement's envelope, as it was signed.

Every function reads or writes through the caller's connection, and nothing here is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

from psycopg.rows import class_row, kwargs_row

from steward.clients.postgres import Connection
from steward.evidence import log_sql
from steward.evidence.checkpoints import Checkpoint
from steward.evidence.errors import LogRefused
from steward.evidence.merkle import Node, Range, hash_of, inclusion_ranges, nodes_needed
from steward.evidence.rows import KeptCheckpoint, LogEntry, Recorded, recorded

#: Entries of one page: an envelope is some kilobytes, and the whole log may be more than the memory.
PAGE = 1000


def log_id(connection: Connection) -> str:
    """Which log this database holds."""
    return str(_value(connection, log_sql.LOG_ID))


def origin_of(log: str) -> str:
    """The log's name in its checkpoints."""
    return f"steward/evidence/{log}"


def hold(connection: Connection) -> None:
    """Keep every other append waiting until the transaction ends."""
    connection.execute(log_sql.HOLD)


def size(connection: Connection) -> int:
    """How many entries are recorded."""
    return int(_value(connection, log_sql.SIZE))


def current(connection: Connection) -> Checkpoint:
    """The log as it is now, to be signed."""
    entries = size(connection)
    return Checkpoint(origin_of(log_id(connection)), entries, root(connection, entries))


def root(connection: Connection, entries: int) -> bytes:
    """The root of its first *entries*."""
    return hashes(connection, [(0, entries)])[0]


def hashes(connection: Connection, ranges: list[Range]) -> list[bytes]:
    """The hash over each of *ranges*, from the perfect subtrees that are kept: a few rows for each."""
    nodes = _nodes(connection, nodes_needed(ranges))
    return [hash_of(where, nodes) for where in ranges]


def inclusion(connection: Connection, index: int, entries: int) -> list[bytes]:
    """The path from entry *index* up to the root of the first *entries*."""
    return hashes(connection, inclusion_ranges(index, entries))


def leaves(connection: Connection, begin: int, end: int) -> list[bytes]:
    """The kept hashes of the entries [begin, end)."""
    nodes = _nodes(connection, {(0, index) for index in range(begin, end)})
    return [nodes[0, index] for index in range(begin, end)]


def all_nodes(connection: Connection) -> dict[Node, bytes]:
    """The whole tree as it is kept, for whoever computes it anew and compares."""
    rows = connection.execute(log_sql.ALL_NODES).fetchall()
    return {(level, index): bytes(kept) for level, index, kept in rows}


def index_of(connection: Connection, row: Recorded) -> int:
    """Which entry the statement of *row* is."""
    return int(_value(connection, log_sql.INDEX_OF, row.id))


def entries(connection: Connection, begin: int, end: int) -> Iterator[LogEntry]:
    """The entries [begin, end) with their rows, page by page."""
    for start in range(begin, end, PAGE):
        wanted = {"begin": start, "end": min(start + PAGE, end)}
        with connection.cursor(row_factory=kwargs_row(_log_entry)) as cursor:
            yield from cursor.execute(log_sql.ENTRIES, wanted).fetchall()


def outside(connection: Connection) -> list[str]:
    """Digests of statements that are no entries. There are none, unless somebody took the trigger away."""
    return [digest for (digest,) in connection.execute(log_sql.OUTSIDE).fetchall()]


def newest_checkpoint(connection: Connection) -> KeptCheckpoint | None:
    with connection.cursor(row_factory=class_row(KeptCheckpoint)) as cursor:
        return cursor.execute(log_sql.NEWEST_CHECKPOINT).fetchone()


def checkpoints(connection: Connection, *, not_anchored: bool = False) -> list[KeptCheckpoint]:
    """Every signed one, or those that are not known to be under Object Lock; smallest first."""
    wanted = log_sql.CHECKPOINTS_NOT_ANCHORED if not_anchored else log_sql.CHECKPOINTS
    with connection.cursor(row_factory=class_row(KeptCheckpoint)) as cursor:
        return cursor.execute(wanted).fetchall()


def keep_checkpoint(connection: Connection, kept: KeptCheckpoint) -> None:
    connection.execute(log_sql.KEEP_CHECKPOINT, (kept.size, kept.note, kept.kid))


def leaves_anchored(connection: Connection) -> int:
    """Up to which entry the leaves' hashes are known to be under Object Lock."""
    return int(_value(connection, log_sql.LEAVES_ANCHORED))


def keep_anchored(connection: Connection, kind: str, entries: int, object_key: str, version_id: str) -> None:
    connection.execute(log_sql.KEEP_ANCHORED, (kind, entries, object_key, version_id))


def _nodes(connection: Connection, wanted: set[Node]) -> dict[Node, bytes]:
    levels, indices = [level for level, _ in wanted], [index for _, index in wanted]
    found = connection.execute(log_sql.NODES, (levels, indices)).fetchall()
    nodes = {(level, index): bytes(kept) for level, index, kept in found}
    if missing := sorted(wanted - nodes.keys()):
        raise LogRefused(
            f"the database lacks {len(missing)} hashes of the log, first level {missing[0][0]} index {missing[0][1]}",
            hint="somebody took them out of steward.log_nodes: see `python -m steward.evidence verify`",
        )
    return nodes


def _value(connection: Connection, query: LiteralString, *values: object) -> Any:
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise LogRefused("the database lacks a row of the log", hint="see steward.log and steward.log_entries")
    return row[0]


def _log_entry(index: int, **columns: Any) -> LogEntry:
    return LogEntry(index, None if columns["id"] is None else recorded(**columns))
