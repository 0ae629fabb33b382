"""After the database was put back to an older state: the statements that it lost are recorded again, in their order.

The anchors say which statements follow, the locked objects hold them. Only what ends in the root that was signed is
committed, so that the log goes on as if nothing had been lost.
"""

from __future__ import annotations

from steward.clients.postgres import Connection, connect
from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.evidence import log, sql
from steward.evidence.checkpoints import Signed
from steward.evidence.envelopes import open_envelope
from steward.evidence.errors import LogForked, LogRefused
from steward.evidence.leaves import Anchored, AnchoredLeaf, read_leaves
from steward.evidence.log_stores import read_anchors
from steward.evidence.merkle import leaf_hash
from steward.evidence.sealing import promised, seal
from steward.evidence.statements import parse_statement
from steward.evidence.store import object_key
from steward.settings import Settings


def recover(settings: Settings) -> int:
    """Record what the anchors name and the database lacks, then sign and anchor; returns how many there were.

    LogForked, and nothing is recorded, where the database holds other statements in their place.
    """
    with open_evidence_bucket(settings) as bucket:
        newest = promised(settings, bucket)
        leaves = _by_index(read_anchors(settings, bucket))
        with connect(settings) as connection:
            log.hold(connection)
            begin = log.size(connection)
            _refuse_other(connection, leaves, begin)
            for index in range(begin, max(leaves, default=-1) + 1):
                _append(connection, bucket, leaves, index)
            _refuse_other_root(connection, newest)
        if owed := seal(settings, bucket, newest):
            raise owed
    return max(len(leaves) - begin, 0)


def _by_index(anchored: Anchored) -> dict[int, AnchoredLeaf]:
    return {leaf.index: leaf for body in anchored.leaves.values() for leaf in read_leaves(body)}


def _refuse_other(connection: Connection, leaves: dict[int, AnchoredLeaf], size: int) -> None:
    kept = log.leaves(connection, 0, size)
    for index, leaf in sorted(leaves.items()):
        if index < size and kept[index] != leaf.leaf:
            raise LogForked(
                f"entry {index} was {leaf.about}, and is another statement in the database",
                hint="statements were recorded after the restore and before this: a person decides",
            )


def _append(connection: Connection, bucket: LockedBucket, leaves: dict[int, AnchoredLeaf], index: int) -> None:
    if index not in leaves:
        raise LogRefused(f"no anchor names entry {index}", hint="list the versions of the objects below log/")
    leaf = leaves[index]
    key = object_key(leaf.statement)
    envelope = bucket.get(key, bucket.first_versions(key).get(key)).body
    if leaf_hash(envelope) != leaf.leaf:
        raise LogRefused(f"object {key} is not entry {index} ({leaf.about})", hint="list the object's versions")
    opened = open_envelope(envelope)
    made = parse_statement(opened.payload)
    identity = (made.operation, made.subject, made.period, made.attempt)
    values = (*identity, made.verdict.value, leaf.statement, next(iter(opened.signatures)), envelope.decode())
    connection.execute(sql.APPEND, values)


def _refuse_other_root(connection: Connection, newest: Signed | None) -> None:
    if newest and log.root(connection, newest.checkpoint.size) != newest.checkpoint.root:
        raise LogForked(
            f"what the anchors name does not give the root of {newest.checkpoint.size} entries that was signed",
            hint="somebody wrote anchors of their own: list the versions of the objects below log/",
        )
