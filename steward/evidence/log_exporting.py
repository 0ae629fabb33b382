"""Writes a statement's proof, or the whole log, for auditors who reach none of the stores."""

from __future__ import annotations

from pathlib import Path

from steward.clients.postgres import Connection, connect
from steward.clients.s3 import open_evidence_bucket
from steward.errors import BadInput
from steward.evidence import log
from steward.evidence.bundles import ANCHORS, CHECKPOINT, CHECKPOINTS, LEAVES, STATEMENTS, SUFFIX
from steward.evidence.log_stores import read_anchors
from steward.evidence.merkle import Tree
from steward.evidence.proofs import Proof
from steward.evidence.rows import KeptCheckpoint, Recorded
from steward.settings import Settings


def newest_note(connection: Connection) -> KeptCheckpoint:
    """The newest signed checkpoint. BadInput where nothing was ever signed."""
    newest = log.newest_checkpoint(connection)
    if newest is None:
        raise BadInput(
            "no checkpoint of the log is signed yet",
            hint="set evidence.checkpoint_key, then: python -m steward.evidence complete",
        )
    return newest


def proof_of(connection: Connection, row: Recorded) -> Proof:
    """The statement of *row*, and its way up to the newest signed root."""
    newest, index = newest_note(connection), log.index_of(connection, row)
    if index >= newest.size:
        raise BadInput(
            f"entry {index} is under no signed checkpoint yet", hint="run: python -m steward.evidence complete"
        )
    path = log.inclusion(connection, index, newest.size)
    return Proof(row.envelope.encode(), index, tuple(path), newest.note)


def export_log(settings: Settings, folder: Path, *, with_anchors: bool = True) -> int:
    """Write the log up to its newest checkpoint into *folder*, which is made here; returns how many entries it has.

    What is damaged is written as it is: to find it out is the reader's.
    """
    try:
        folder.mkdir()
        with connect(settings) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            size = _write_log(connection, folder)
        if with_anchors:
            _write_anchors(settings, folder / ANCHORS)
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror}", hint="name a new folder in one of yours") from None
    return size


def _write_log(connection: Connection, folder: Path) -> int:
    newest = newest_note(connection)
    leaves = log.leaves(connection, 0, newest.size)
    (folder / CHECKPOINT).write_text(newest.note)
    (folder / LEAVES).write_text("".join(f"{leaf.hex()}\n" for leaf in leaves))
    _write_all(folder / CHECKPOINTS, {str(one.size): one.note.encode() for one in log.checkpoints(connection)})
    tree = Tree(leaves)
    (folder / STATEMENTS).mkdir()
    for each in log.entries(connection, 0, newest.size):
        if each.entry is not None:
            proof = Proof(each.entry, each.index, tuple(tree.inclusion(each.index, newest.size)), newest.note)
            (folder / STATEMENTS / f"{each.index}{SUFFIX}").write_bytes(proof.written())
    return newest.size


def _write_anchors(settings: Settings, folder: Path) -> None:
    with open_evidence_bucket(settings) as bucket:
        anchored = read_anchors(settings, bucket)
    folder.mkdir()
    for named in (anchored.checkpoints, anchored.leaves):
        for name, body in named.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(body)


def _write_all(folder: Path, named: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, body in named.items():
        (folder / name).write_bytes(body)
