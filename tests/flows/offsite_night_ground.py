"""Steps of a night's copy and proof as one more operation's, and what is there of them."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from uuid import uuid4

from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import copies_of
from steward.operations.claims import Identity, claim
from steward.operations.effects import left_effects
from steward.operations.holding import holding
from steward.operations.ledger import Ledger
from steward.settings import load
from steward.snapshots import capture
from tasks import offsite
from tasks.offsite_place import STAGED


@contextmanager
def operation(settings):
    book, subject = Ledger(settings), uuid4().hex
    held = claim(book, Identity("offsite-test", subject, "", f"tests/{subject}"))
    try:
        with holding(book, held):
            yield SimpleNamespace(held=held, left=lambda: left_effects(book, "offsite-test", subject))
    finally:
        # Nobody takes it up.
        book.query("update steward.operations set state = 'failed' where id = %(id)s", id=held.id)
        book.close()


def copy(night, **policy):
    policy = night.policy.model_copy(update=policy)
    return offsite.copy_offsite.fn(policy, night.attempt, night.taken, night.digests)


def prove(night, copied=None, **policy):
    policy = night.policy.model_copy(update=policy)
    return offsite.prove_copy.fn(policy, night.attempt, night.plan, night.taken, copied or night.copied, night.digests)


def known(night):
    with connect(night.settings) as db:
        return copies_of(db, night.copied.repository_uuid)


def repositories(night):
    with open_search(night.settings, night.policy.scratch_cluster, "restore") as there:
        return set(capture.repositories(there)), set(capture.restored_indices(there, "proof-"))


def data_path(night):
    return next(e.path for e in night.document.blobs.entries if "/__" in e.path)


def staging_of(night):
    return night.settings.snapshots.staging.path


def registered_by(held):
    book = Ledger(load())
    noted = book.query(
        "select effect_id from steward.operation_effects where operation_id = %(id)s and kind = %(kind)s",
        id=held.id,
        kind=STAGED,
    )
    book.close()
    return [row["effect_id"] for row in noted]


@contextmanager
def places(night):
    with (
        open_search(night.settings, night.policy.cluster, "snapshot") as source,
        open_search(night.settings, night.policy.scratch_cluster, "restore") as there,
    ):
        yield source, there


def snapshots_of(night):
    with open_search(night.settings, night.policy.cluster, "snapshot") as source:
        return {each["snapshot"] for each in source.request("GET", "/_snapshot/nightly/*")["snapshots"]}
