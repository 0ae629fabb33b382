from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import errors as pg

from steward.clients.postgres import DatabaseNotMigrated, connect
from steward.clients.s3 import ObjectMissing, ObjectStoreUnavailable, open_evidence_bucket
from steward.evidence import store
from steward.evidence.envelopes import sign, verify
from steward.evidence.errors import EvidenceConflict, EvidenceNotFound, UnusableKey
from steward.evidence.signers import load_public_key, open_signer
from steward.evidence.statements import parse_statement
from steward.evidence.store import complete, list_statements, load_locked, load_statement, object_key, record
from steward.migrations.apply import migrate
from steward.verdicts import Verdict
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import changed, fresh_database, superuser
from tests.unit.evidence_samples import key_pair, statement

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def open_once():
    """Opens one database for all tests here, which tell their statements apart by subject: each costs a second."""
    opened = []
    with ExitStack() as stack:

        def open_once(settings):
            if not opened:
                opened.append(stack.enter_context(fresh_database(settings)))
                migrate(opened[0])
            return opened[0]

        yield open_once


@pytest.fixture
def stores(settings, open_once):
    return open_once(settings)


@pytest.fixture
def stores_of_its_own(settings):
    with fresh_database(settings) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def made():
    """A statement that no other test has made: the bucket is shared, and nothing in it can be deleted."""
    return statement(subject=f"cluster-{secrets.token_hex(6)}")


def _rows(settings, **wanted):
    with connect(settings) as connection:
        return list_statements(connection, **wanted)


def _versions(settings, digest):
    with open_evidence_bucket(settings) as bucket:
        found = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=object_key(digest))
    return [version["VersionId"] for version in found.get("Versions", [])]


def _without_object_store(settings):
    return changed(settings, "objects", endpoint=f"https://127.0.0.1:{closed_port()}")


def test_both_stores_keep_the_same_signed_bytes(stores, made):
    ref = record(stores, made)
    (row,) = _rows(stores, subject=made.subject)
    stored = load_locked(stores, ref.digest)
    assert stored.body == row.envelope.encode()
    assert (ref.row_id, ref.version_id, ref.object_key) == (row.id, stored.version_id, object_key(row.digest))
    signed = verify(stored.body, load_public_key(stores.evidence.public_key))
    assert signed.digest == ref.digest
    assert parse_statement(signed.payload) == made


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_recorded(stores, made, verdict):
    record(stores, made.model_copy(update={"verdict": verdict}))
    assert [row.verdict for row in _rows(stores, subject=made.subject)] == [verdict]


def test_recording_twice_has_the_effect_of_once(stores, made):
    first = record(stores, made)
    assert record(stores, made) == first
    assert len(_rows(stores, subject=made.subject)) == 1
    assert _versions(stores, first.digest) == [first.version_id]


def test_recording_at_the_same_moment_has_the_effect_of_once(stores, made):
    with ThreadPoolExecutor(6) as pool:
        refs = set(pool.map(lambda _: record(stores, made), range(6)))
    (ref,) = refs
    assert len(_rows(stores, subject=made.subject)) == 1
    assert _versions(stores, ref.digest) == [ref.version_id]


def test_attempts_of_one_period_are_all_kept(stores, made):
    record(stores, made.model_copy(update={"verdict": Verdict.UNKNOWN}))
    record(stores, made.model_copy(update={"attempt": 2}))
    assert [(row.attempt, row.verdict) for row in _rows(stores, subject=made.subject)] == [
        (2, Verdict.VERIFIED),
        (1, Verdict.UNKNOWN),
    ]


UPSERT = """
INSERT INTO steward.evidence (operation, subject, period, attempt, verdict, digest, key_id, envelope)
SELECT operation, subject, period, attempt, verdict, digest, key_id, envelope FROM steward.evidence
ON CONFLICT (operation, subject, period, attempt, digest) DO UPDATE SET verdict = 'VERIFIED'
"""


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE steward.evidence SET verdict = 'VERIFIED'",
        "UPDATE steward.evidence SET verdict = 'VERIFIED' WHERE false",
        "DELETE FROM steward.evidence",
        "TRUNCATE steward.evidence",
        UPSERT,
        "MERGE INTO steward.evidence AS t USING steward.evidence AS s ON t.id = s.id WHEN MATCHED THEN DELETE",
    ],
)
def test_the_table_refuses_every_change_by_sql(stores, made, change):
    record(stores, made.model_copy(update={"verdict": Verdict.REFUTED}))
    before = _rows(stores, subject=made.subject)
    with pytest.raises(pg.RestrictViolation, match="append-only"), connect(stores) as connection:
        connection.execute(change)
    assert _rows(stores, subject=made.subject) == before


def test_a_superuser_in_replica_mode_does_not_pass_by_the_trigger(stores, made):
    record(stores, made)
    database = stores.postgres.url.rsplit("/", 1)[1]
    with superuser(stores, database) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(pg.RestrictViolation, match="append-only"):
            connection.execute("DELETE FROM steward.evidence")


def test_the_database_refuses_an_envelope_under_another_statement_s_digest(stores, made):
    signer = open_signer(stores)
    envelope = sign(made.payload(), signer)
    signed = verify(envelope, signer.public_key)
    other = verify(sign(made.model_copy(update={"attempt": 2}).payload(), signer), signer.public_key)
    with pytest.raises(psycopg.errors.CheckViolation, match="digest_names_the_payload"), connect(stores) as connection:
        store.append(connection, made, other, envelope)
    with connect(stores) as connection:
        assert store.append(connection, made, signed, envelope).digest == signed.digest


def test_a_locked_envelope_outlives_the_database_and_a_delete(stores, made):
    ref = record(stores, made)
    with open_evidence_bucket(stores) as bucket:
        with pytest.raises(Exception, match="AccessDenied"):
            bucket.client.delete_object(Bucket=bucket.name, Key=ref.object_key, VersionId=ref.version_id)
        assert bucket.get(ref.object_key, ref.version_id).locked_until is not None


def test_a_stop_between_the_stores_is_completed_by_a_repeat(stores, made):
    with pytest.raises(ObjectStoreUnavailable) as raised:
        record(_without_object_store(stores), made)
    assert raised.value.transient
    (row,) = _rows(stores, subject=made.subject)
    assert _versions(stores, row.digest) == []
    ref = record(stores, made)
    assert (ref.row_id, ref.digest) == (row.id, row.digest)
    assert load_locked(stores, ref.digest).body == row.envelope.encode()


def test_a_stop_between_the_stores_is_completed_by_the_next_attempt_s_statement(stores, made):
    with pytest.raises(ObjectStoreUnavailable):
        record(_without_object_store(stores), made)
    (stopped,) = _rows(stores, subject=made.subject)
    record(stores, made.model_copy(update={"attempt": 2}))
    assert load_locked(stores, stopped.digest).body == stopped.envelope.encode()


def test_complete_locks_what_no_later_attempt_looked_after(stores_of_its_own, made, monkeypatch):
    monkeypatch.setattr(store, "_PAGE", 2)
    for period in range(5):
        with pytest.raises(ObjectStoreUnavailable):
            record(_without_object_store(stores_of_its_own), made.model_copy(update={"period": str(period)}))
    assert complete(stores_of_its_own) == 5
    for row in _rows(stores_of_its_own, subject=made.subject):
        assert load_locked(stores_of_its_own, row.digest).body == row.envelope.encode()


def test_something_else_in_the_object_s_place_is_a_conflict(stores, made):
    ref = record(stores, made)
    other = sign(made.model_copy(update={"claim": "rewritten"}).payload(), open_signer(stores))
    with open_evidence_bucket(stores) as bucket:
        until = bucket.get(ref.object_key).locked_until
        bucket.client.put_object(
            Bucket=bucket.name,
            Key=ref.object_key,
            Body=other,
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )
        with pytest.raises(EvidenceConflict, match="holds something else"):
            record(stores, made)
        original = bucket.get(ref.object_key, ref.version_id)
    assert verify(original.body, load_public_key(stores.evidence.public_key)).digest == ref.digest


def test_something_that_is_no_envelope_in_the_object_s_place_is_a_conflict(stores, made):
    ref = record(stores, made)
    with open_evidence_bucket(stores) as bucket:
        until = bucket.get(ref.object_key).locked_until
        bucket.client.put_object(
            Bucket=bucket.name,
            Key=ref.object_key,
            Body=b"{}",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )
    with pytest.raises(EvidenceConflict):
        record(stores, made)


def test_a_key_that_auditors_do_not_have_signs_nothing(stores, made, tmp_path):
    private, _ = key_pair(tmp_path)
    with pytest.raises(UnusableKey):
        record(changed(stores, "evidence", signing_key=f"file:{private}"), made)
    assert _rows(stores, subject=made.subject) == []


def test_a_database_without_migrations_is_told(settings, made):
    with fresh_database(settings) as empty, pytest.raises(DatabaseNotMigrated, match=r"steward\.evidence"):
        record(empty, made)


def test_statements_are_found_by_what_they_are_about_newest_first(stores, made):
    for night in ("2025-07-29", "2025-07-30", "2025-07-31"):
        record(stores, made.model_copy(update={"period": night}))
    record(stores, made.model_copy(update={"operation": "provision-search"}))
    found = _rows(stores, subject=made.subject, operation="nightly-snapshot")
    assert [row.period for row in found] == ["2025-07-31", "2025-07-30", "2025-07-29"]
    assert [
        row.period for row in _rows(stores, subject=made.subject, operation="nightly-snapshot", period="2025-07-30")
    ] == ["2025-07-30"]
    assert _rows(stores, subject="elsewhere") == []
    assert _rows(stores, subject=made.subject, operation="nightly-snapshot", before=found[1].id) == [found[2]]
    assert len(_rows(stores, subject=made.subject, limit=2)) == 2


def test_a_statement_is_found_by_the_beginning_of_its_digest(stores, made):
    ref = record(stores, made)
    record(stores, made.model_copy(update={"attempt": 2}))
    with connect(stores) as connection:
        assert load_statement(connection, ref.digest[:12]).id == ref.row_id
        with pytest.raises(EvidenceNotFound, match="no statement begins"):
            load_statement(connection, "f" * 64)
        with pytest.raises(EvidenceNotFound, match="several statements begin"):
            load_statement(connection, "")


def test_a_digest_that_is_not_locked_is_told(stores):
    with pytest.raises(ObjectMissing):
        load_locked(stores, "f" * 64)
