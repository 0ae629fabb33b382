"""The log's newest state is signed, and what is not there yet goes under Object Lock.

Nothing here needs a lock of its own: a checkpoint is signed of what is committed, the first signature of one size
counts, and objects are written once. Killed anywhere, the next statement or `complete` goes on from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextlib import closing, contextmanager
from itertools import islice

from steward.clients.postgres import Connection, connect, open_connection, worded
from steward.clients.s3 import LockedBucket
from steward.errors import Unavailable
from steward.evidence import log
from steward.evidence.anchors import Anchors
from steward.evidence.checkpoint_signing import published_keys, sign_checkpoint
from steward.evidence.checkpoints import Checkpoint, Signed, open_checkpoint
from steward.evidence.errors import LogForked, LogRolledBack, NoteRefused, UnusableNote
from steward.evidence.merkle import consistency_ranges, verify_consistency
from steward.evidence.notes import read_note
from steward.evidence.rows import KeptCheckpoint
from steward.settings import Settings


def promised(settings: Settings, bucket: LockedBucket) -> Signed | None:
    """The newest checkpoint under Object Lock that the database does not have; None as a rule.

    There is one where the database was put back to an older state.
    """
    keys = published_keys(settings)
    if not keys:
        return None
    with connect(settings) as connection:
        name, newest = log.log_id(connection), log.newest_checkpoint(connection)
    later = Anchors(bucket, name, settings.evidence.lock_days).checkpoints_after(newest.size if newest else 0)
    for note in later:
        # What nobody signed promises nothing; `verify` tells of it.
        with contextlib.suppress(NoteRefused, UnusableNote):
            return open_checkpoint(note, keys, origin=log.origin_of(name))
    return None


def refuse_rolled_back(connection: Connection, newest: Signed | None) -> None:
    """LogRolledBack where fewer entries are recorded than *newest* promises: the next would take another one's place."""
    entries = log.size(connection)
    if newest and newest.checkpoint.size > entries:
        raise _rolled_back(entries, newest.checkpoint.size)


def seal(settings: Settings, bucket: LockedBucket, newest: Signed | None = None) -> Unavailable | None:
    """Sign the log as it is now, and anchor it; *newest* is what `promised` said.

    Answers why it could not be signed where the vault is away: the entries are anchored, and the next call signs for them
    too. Raises what else the vault raises. LogForked where the database contradicts what was signed before; then nothing
    is signed.
    """
    owed = None
    with _at_once(settings) as connection:
        if newest:
            _adopt(connection, newest)
        if settings.evidence.checkpoint_key:
            try:
                _sign(settings, connection)
            except Unavailable as away:
                owed = away
        _anchor(settings, connection, bucket)
    return owed


@contextmanager
def _at_once(settings: Settings) -> Generator[Connection]:
    """A connection without a transaction: none may stay open while the vault is asked."""
    with worded(settings), closing(open_connection(settings, autocommit=True)) as connection:
        yield connection


def _adopt(connection: Connection, newest: Signed) -> None:
    """Keep a promise that the database had lost, now that it holds the entries again."""
    refuse_rolled_back(connection, newest)
    told = newest.checkpoint
    if log.root(connection, told.size) != told.root:
        raise _forked(told)
    log.keep_checkpoint(connection, KeptCheckpoint(told.size, newest.note, ""))


def _sign(settings: Settings, connection: Connection) -> None:
    before, now = log.newest_checkpoint(connection), log.current(connection)
    if now.size == (before.size if before else 0):
        return
    if before:
        _refuse_unlike(before, now, connection)
    log.keep_checkpoint(connection, sign_checkpoint(settings, now, last_kid=before.kid if before else None))


def _refuse_unlike(before: KeptCheckpoint, now: Checkpoint, connection: Connection) -> None:
    told = Checkpoint.parse(read_note(before.note.encode()).text)
    if now.size < told.size:
        raise _rolled_back(now.size, told.size)
    proof = log.hashes(connection, consistency_ranges(told.size, now.size))
    if told.origin != now.origin or not verify_consistency(told.size, now.size, proof, told.root, now.root):
        raise _forked(told)


def _rolled_back(entries: int, signed: int) -> LogRolledBack:
    return LogRolledBack(
        f"the database's log has {entries} entries, and {signed} were signed",
        hint="it was put back to an older state: see «After a restore» in docs/evidence.md",
    )


def _forked(told: Checkpoint) -> LogForked:
    return LogForked(
        f"the database's log does not begin with the {told.size} entries that were signed",
        hint="nothing is signed; see which entry was changed: python -m steward.evidence verify",
    )


def _anchor(settings: Settings, connection: Connection, bucket: LockedBucket) -> None:
    anchors = Anchors(bucket, log.log_id(connection), settings.evidence.lock_days)
    # Before the checkpoints: whatever an anchored checkpoint covers can be named.
    begin, end = log.leaves_anchored(connection), log.size(connection)
    entries = log.entries(connection, begin, end)
    while page := list(islice(entries, log.PAGE)):
        first, last = page[0].index, page[-1].index + 1
        hashes = log.leaves(connection, first, last)
        log.keep_anchored(connection, "leaves", last, *anchors.put_leaves(list(zip(page, hashes, strict=True))))
    for kept in log.checkpoints(connection, not_anchored=True):
        log.keep_anchored(connection, "checkpoint", kept.size, *anchors.put_checkpoint(kept))
