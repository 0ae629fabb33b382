"""Where evidence is kept: an append-only table in PostgreSQL, and the same envelope under Object Lock in S3.

The table answers questions; the locked object is what nobody can take back, the database's owner included. The row
comes first, and with it, in the same transaction, the statement's place in the log. An operation that stops after it
leaves a row whose object, checkpoint or anchor is missing: the next `record` signs and anchors the log, and writes the
objects of the same period; `complete` writes all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from psycopg.rows import kwargs_row

from steward.clients.postgres import Connection, connect
from steward.clients.s3 import LockedBucket, StoredObject, open_evidence_bucket
from steward.errors import StewardError
from steward.evidence import sql
from steward.evidence.checkpoints import Signed as SignedCheckpoint
from steward.evidence.envelopes import Signed, open_envelope, sign, verify
from steward.evidence.errors import EvidenceConflict, EvidenceNotFound, UnusableEnvelope
from steward.evidence.log import hold
from steward.evidence.rows import Recorded, recorded
from steward.evidence.sealing import promised, refuse_rolled_back, seal
from steward.evidence.signers import open_signer
from steward.evidence.statements import Statement
from steward.settings import Settings

#: Attempts of one period whose objects `record` looks after; `complete` looks after all.
_OF_ONE_PERIOD = 20
_PAGE = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvidenceRef:
    """Where one statement is: its SHA-256, its object and that object's version, its row."""

    digest: str
    object_key: str
    version_id: str
    row_id: int
    is_checkpointed: bool = True
    """It is under a signed checkpoint; False: the vault was away, and the next recording signs for it."""


def object_key(digest: str) -> str:
    return f"statements/{digest}.dsse.json"


def record(settings: Settings, statement: Statement) -> EvidenceRef:
    """Sign *statement* and keep it in both stores and the log; the same statement again changes nothing and returns the same.

    A vault that is away keeps nobody waiting: the statement stands, `is_checkpointed` is False, and the next recording,
    or `complete`, signs for it too. Raises Unavailable where a store is away: repeat it with the same statement.
    EvidenceConflict where the object store holds something else under this digest; LogRolledBack, and nothing is
    recorded, where the database's log is older than one that was signed; LogForked where it is another one.
    """
    signer = open_signer(settings)
    payload = statement.payload()
    envelope = sign(payload, signer)
    signed = verify(envelope, signer.public_key)
    with ExitStack() as stack:
        reached = _reach(settings, stack)
        newest = None if isinstance(reached, StewardError) else reached.newest
        row, earlier = _append(settings, statement, signed, envelope, newest)
        if isinstance(reached, StewardError):
            raise reached
        # An attempt that stopped between the stores measured other times, so its statement is another one.
        _lock_all(reached.bucket, earlier, settings.evidence.lock_days)
        stored = _lock(reached.bucket, row, settings.evidence.lock_days)
        owed = seal(settings, reached.bucket, newest)
    if owed:
        _log.warning("the evidence log's checkpoint is not signed yet: %s", owed.message)
    return EvidenceRef(row.digest, object_key(row.digest), stored.version_id, row.id, owed is None)


def complete(settings: Settings) -> int:
    """Put every recorded statement under Object Lock that is not there yet, then sign and anchor the log.

    Returns how many statements were looked at. Raises Unavailable where a store or the vault is away.
    """
    looked_at, before = 0, None
    with open_evidence_bucket(settings) as bucket:
        while rows := _page(settings, before):
            _lock_all(bucket, rows, settings.evidence.lock_days)
            looked_at, before = looked_at + len(rows), rows[-1].id
        if owed := seal(settings, bucket, promised(settings, bucket)):
            raise owed
    return looked_at


def _page(settings: Settings, before: int | None) -> list[Recorded]:
    with connect(settings) as connection:
        return list_statements(connection, before=before, limit=_PAGE)


@dataclass(frozen=True)
class _Reached:
    """The open bucket, and what it holds of the log that the database does not."""

    bucket: LockedBucket
    newest: SignedCheckpoint | None


def _reach(settings: Settings, stack: ExitStack) -> _Reached | StewardError:
    """The bucket; or why it cannot be had or asked, to be raised once the statement's row is there."""
    try:
        bucket = stack.enter_context(open_evidence_bucket(settings))
        return _Reached(bucket, promised(settings, bucket))
    except StewardError as error:
        return error


def _append(
    settings: Settings, statement: Statement, signed: Signed, envelope: bytes, newest: SignedCheckpoint | None
) -> tuple[Recorded, list[Recorded]]:
    """(the statement's row, the other rows of its period)."""
    with connect(settings) as connection:
        if newest:
            hold(connection)
            refuse_rolled_back(connection, newest)
        row = append(connection, statement, signed, envelope)
        same_period = list_statements(
            connection, statement.operation, subject=statement.subject, period=statement.period, limit=_OF_ONE_PERIOD
        )
    return row, [other for other in same_period if other.id != row.id]


def append(connection: Connection, statement: Statement, signed: Signed, envelope: bytes) -> Recorded:
    """The statement's row, made now or by an earlier attempt, whose envelope then is the one that counts."""
    identity = (statement.operation, statement.subject, statement.period, statement.attempt)
    values = (*identity, statement.verdict.value, signed.digest, signed.key_id, envelope.decode())
    connection.execute(sql.APPEND, values)
    with connection.cursor(row_factory=kwargs_row(recorded)) as cursor:
        found = cursor.execute(sql.EXACTLY, (*identity, signed.digest)).fetchone()
    if found is None:
        raise EvidenceConflict(
            f"statement {signed.digest} was appended and is not there",
            hint="see triggers and rules on steward.evidence",
        )
    return found


def list_statements(
    connection: Connection,
    operation: str | None = None,
    *,
    subject: str | None = None,
    period: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Recorded]:
    """Recorded statements, newest first; None means any. `before` is a row's id, to page on from."""
    wanted = {"operation": operation, "subject": subject, "period": period, "before": before, "limit": limit}
    with connection.cursor(row_factory=kwargs_row(recorded)) as cursor:
        return cursor.execute(sql.LIST, wanted).fetchall()


def load_statement(connection: Connection, digest: str) -> Recorded:
    """The row of *digest*, or of the one digest that begins so. EvidenceNotFound where there is none, or several."""
    with connection.cursor(row_factory=kwargs_row(recorded)) as cursor:
        found = cursor.execute(sql.BY_DIGEST, {"prefix": digest}).fetchall()
    if len({row.digest for row in found}) != 1:
        seen = "several statements begin" if found else "no statement begins"
        raise EvidenceNotFound(f"{seen} with digest {digest!r}", hint="see: python -m steward.evidence list")
    return found[0]


def load_locked(settings: Settings, digest: str) -> StoredObject:
    """The envelope of *digest* from the object store alone: what is left when the database is not to be believed."""
    with open_evidence_bucket(settings) as bucket:
        return bucket.get(object_key(digest))


def _lock_all(bucket: LockedBucket, rows: Iterable[Recorded], lock_days: int) -> None:
    for row in rows:
        _lock(bucket, row, lock_days)


def _lock(bucket: LockedBucket, row: Recorded, lock_days: int) -> StoredObject:
    until = datetime.now(UTC) + timedelta(days=lock_days)
    stored = bucket.put_once(object_key(row.digest), row.envelope.encode(), locked_until=until)
    # A vault's signatures differ each time, so what was written first is compared by what it says.
    if _said(stored.body) != _said(row.envelope.encode()):
        raise EvidenceConflict(
            f"object {object_key(row.digest)} in bucket {bucket.name} holds something else than its statement",
            hint="somebody wrote over it; its locked first version is still there: list the object's versions",
        )
    return stored


def _said(envelope: bytes) -> bytes | None:
    try:
        return open_envelope(envelope).payload
    except UnusableEnvelope:
        return None
