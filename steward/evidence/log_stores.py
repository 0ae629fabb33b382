"""The log as the database and the object store have it now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.clients.postgres import Connection, connect
from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.evidence import log
from steward.evidence.anchors import Anchors, other_logs
from steward.evidence.leaves import Anchored
from steward.evidence.log_copies import EntryFacts, LogCopy, inspect
from steward.evidence.rows import LogEntry
from steward.settings import Settings

if TYPE_CHECKING:
    from steward.evidence.signers import Key


def log_in_stores(settings: Settings, keys: Sequence[Key], *, with_anchors: bool = True) -> LogCopy:
    """Everything of the log, its statements checked with *keys*. Raises what `connect` and the object store raise."""
    # Before the database: what is anchored is in the database, and not the other way round while others record.
    anchored, notices = _anchored(settings) if with_anchors else (None, [])
    with connect(settings) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        nodes = log.all_nodes(connection)
        return LogCopy(
            source=f"the database{' and the object store' if with_anchors else ''}",
            origin=log.origin_of(log.log_id(connection)),
            entries=_entries(connection, keys),
            checkpoints={f"checkpoint {one.size}": one.note.encode() for one in log.checkpoints(connection)},
            leaves={index: kept for (level, index), kept in nodes.items() if level == 0},
            anchored=anchored,
            nodes=nodes,
            outside=log.outside(connection),
            notices=notices,
            statements_checked=bool(keys),
        )


def read_anchors(settings: Settings, bucket: LockedBucket) -> Anchored:
    """All that is anchored of the database's log."""
    with connect(settings) as connection:
        name = log.log_id(connection)
    return Anchors(bucket, name, settings.evidence.lock_days).read()


def _anchored(settings: Settings) -> tuple[Anchored, list[str]]:
    with open_evidence_bucket(settings) as bucket:
        with connect(settings) as connection:
            name = log.log_id(connection)
        others = other_logs(bucket, name)
        told = f"the bucket holds anchors of {len(others)} other logs, {others[0]} …" if others else ""
        return read_anchors(settings, bucket), [told] if told else []


def _entries(connection: Connection, keys: Sequence[Key]) -> list[EntryFacts]:
    """One for each index up to the last: a row that is gone is told, not left out."""
    size = log.size(connection)
    found = {each.index: _facts(each, keys) for each in log.entries(connection, 0, size)}
    return [found.get(index) or EntryFacts(index, None) for index in range(size)]


def _facts(each: LogEntry, keys: Sequence[Key]) -> EntryFacts:
    return inspect(each.index, each.entry, keys, each.row)
