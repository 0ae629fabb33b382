"""Checkpoints and anchors on real servers: the vault signs, the bucket keeps, and neither's absence loses a statement."""

from __future__ import annotations

import secrets

import pytest
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient

from steward.clients import keyvault_asking
from steward.clients.keyvault_errors import VaultMissing, VaultUnavailable
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.evidence import log
from steward.evidence.checkpoint_signing import published_keys
from steward.evidence.checkpoints import open_checkpoint
from steward.evidence.errors import EvidenceConflict, LogForked, UnusableKey
from steward.evidence.notes import load_note_keys, note_key
from steward.evidence.store import complete, list_statements, load_locked, record
from steward.migrations.apply import migrate
from steward.settings import read_secret
from tests.integration.closed_doors import closed_port
from tests.integration.evidence_ground import Command, append, new_statement, tamper
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.principals import vault_as

pytestmark = pytest.mark.without_search


@pytest.fixture
def stores(settings):
    with fresh_database(settings) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def command(tmp_path, capsys):
    return Command(tmp_path, capsys)


@pytest.fixture
def vault_keys(replica, settings):
    """The vault's keys, as its administrator makes them."""
    vault = vault_as(replica, settings, "administrator")
    trusted = {"connection_verify": str(vault.ca_file)}
    login = {"authority": vault.authority, "disable_instance_discovery": True, **trusted}
    with (
        ClientSecretCredential(vault.tenant, vault.client_id, read_secret(vault.client_secret), **login) as credential,
        KeyClient(vault.url, credential, verify_challenge_resource=False, **trusted) as client,
    ):
        yield client


def _signed(settings):
    """(size, identifier of the key version) of every checkpoint."""
    with connect(settings) as connection:
        return [(kept.size, kept.kid) for kept in log.checkpoints(connection)]


def _without(settings, *parts):
    away = {"vault": {"url": f"https://127.0.0.1:{closed_port()}"}, "objects": {"endpoint": "https://127.0.0.1:1"}}
    for part in parts:
        settings = changed(settings, part, **away[part])
    return settings


def test_each_recording_signs_the_log_as_it_then_is(stores):
    for _ in range(3):
        record(stores, new_statement())
    with connect(stores) as connection:
        notes = [kept.note for kept in log.checkpoints(connection)]
        roots = [log.root(connection, size) for size in (1, 2, 3)]
        origin = log.origin_of(log.log_id(connection))
    opened = [open_checkpoint(note, published_keys(stores), origin=origin).checkpoint for note in notes]
    assert [(one.size, one.root) for one in opened] == list(zip((1, 2, 3), roots, strict=True))


def test_a_statement_that_was_recorded_before_signs_nothing_anew(stores):
    made = new_statement()
    assert record(stores, made) == record(stores, made)
    assert [size for size, _ in _signed(stores)] == [1]


def test_a_vault_that_is_away_loses_no_statement_and_the_next_recording_signs_for_it(stores, command, monkeypatch):
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 0.5)
    made = new_statement()
    assert not record(_without(stores, "vault"), made).is_checkpointed
    with pytest.raises(VaultUnavailable):
        complete(_without(stores, "vault"))
    with connect(stores) as connection:
        (row,) = list_statements(connection, subject=made.subject)
    assert load_locked(stores, row.digest).body == row.envelope.encode()
    assert _signed(stores) == []
    assert "no checkpoint of this log is signed" in command(stores, "verify", status=2)
    assert record(stores, new_statement()).is_checkpointed
    assert [size for size, _ in _signed(stores)] == [2]
    assert command(stores, "verify").startswith("log:        VERIFIED")


def test_complete_signs_and_anchors_what_was_left(stores, command):
    record(stores, new_statement())
    append(stores, new_statement(), new_statement())
    told = command(stores, "verify", status=2)
    assert told.startswith("log:        UNKNOWN")
    assert "entries 1 to 2 are under no signed checkpoint yet: python -m steward.evidence complete" in told
    assert complete(stores) == 3
    assert [size for size, _ in _signed(stores)] == [1, 3]
    assert "hashes of 3 entries" in command(stores, "verify")


def test_an_object_store_that_is_away_loses_no_statement(stores, command):
    with pytest.raises(Exception, match="object store"):
        record(_without(stores, "objects"), new_statement())
    assert _signed(stores) == []
    assert complete(stores) == 1
    assert command(stores, "verify").startswith("log:        VERIFIED")


def test_without_a_key_the_log_is_anchored_unsigned_until_there_is_one(stores, command):
    unsigned = changed(stores, "evidence", checkpoint_key=None, checkpoint_public_keys=None)
    unsigned = unsigned.model_copy(update={"vault": None, "keyring": None, "providers": {}})
    record(unsigned, new_statement())
    assert command(unsigned, "complete").endswith("the log is anchored; no key signs it\n")
    told = command(unsigned, "verify", status=2)
    assert "no checkpoint of this log is signed: nothing is proved about it" in told
    assert "the log is not signed here" in command(unsigned, "keys", status=1)
    assert record(stores, new_statement()).is_checkpointed
    assert [size for size, _ in _signed(stores)] == [2]
    assert "hashes of 2 entries" in command(stores, "verify")


def test_a_key_that_the_vault_does_not_have_is_told(stores):
    with pytest.raises(VaultMissing):
        record(changed(stores, "evidence", checkpoint_key="absent"), new_statement())


def test_keys_that_cannot_be_read_lose_no_statement(stores, tmp_path):
    with pytest.raises(UnusableKey, match="cannot read public keys"):
        record(changed(stores, "evidence", checkpoint_public_keys=tmp_path / "absent"), new_statement())
    with connect(stores) as connection:
        assert log.size(connection) == 1


def test_a_new_version_of_the_key_signs_once_its_public_half_is_published(stores, vault_keys, command, tmp_path):
    name, published = f"evidence-{secrets.token_hex(4)}", tmp_path / "checkpoints.pub"
    mine = changed(stores, "evidence", checkpoint_key=name, checkpoint_public_keys=published)
    first = vault_keys.create_ec_key(name, curve="P-256").id
    published.write_text(stores.evidence.checkpoint_public_keys.read_text())
    with pytest.raises(UnusableKey, match="is not among the published ones"):
        record(mine, new_statement())
    published.write_text(_pem_told(command(mine, "keys")))
    record(mine, new_statement())
    second = vault_keys.create_ec_key(name, curve="P-256").id
    record(mine, new_statement())
    assert _signed(mine) == [(2, first), (3, first)]
    published.write_text(published.read_text() + _pem_told(command(mine, "keys")))
    record(mine, new_statement())
    assert _signed(mine) == [(2, first), (3, first), (4, second)]
    assert "NOT published" not in command(mine, "keys")
    assert command(mine, "verify").startswith("log:        VERIFIED")
    assert len(load_note_keys(published)) == 2


def _pem_told(told):
    assert "NOT published: " in told
    return told[told.index("-----BEGIN") :]


def test_a_key_of_another_kind_signs_no_checkpoint(stores):
    with pytest.raises(UnusableKey, match="a key of kind"):
        record(changed(stores, "evidence", checkpoint_key="tenants"), new_statement())
    with pytest.raises(UnusableKey):
        note_key(None)


def _anchor(settings, kind):
    """(bucket, key) of the newest anchor of this kind; the bucket stays open as long as the test needs it."""
    with connect(settings) as connection:
        prefix = f"log/{log.log_id(connection)}/{kind}/"
    with open_evidence_bucket(settings) as bucket:
        return prefix, max(bucket.first_versions(prefix))


def test_an_anchor_that_is_hidden_or_written_over_is_still_read_as_it_was(stores, command):
    for _ in range(2):
        record(stores, new_statement())
    _, checkpoint = _anchor(stores, "checkpoints")
    _, leaves = _anchor(stores, "leaves")
    with open_evidence_bucket(stores) as bucket:
        bucket.client.delete_object(Bucket=bucket.name, Key=checkpoint)
        until = bucket.get(leaves).locked_until
        bucket.client.put_object(
            Bucket=bucket.name,
            Key=leaves,
            Body=b"{}",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )
    told = command(stores, "verify")
    assert "2 checkpoints, hashes of 2 entries" in told


def test_an_anchor_cannot_be_taken_away(stores):
    record(stores, new_statement())
    _, key = _anchor(stores, "checkpoints")
    with open_evidence_bucket(stores) as bucket:
        version = bucket.first_versions(key)[key]
        with pytest.raises(Exception, match="AccessDenied"):
            bucket.client.delete_object(Bucket=bucket.name, Key=key, VersionId=version)


def test_something_else_in_an_anchor_s_place_is_a_conflict(stores):
    record(stores, new_statement())
    prefix, _ = _anchor(stores, "leaves")
    with open_evidence_bucket(stores) as bucket:
        until = bucket.get(_anchor(stores, "leaves")[1]).locked_until
        bucket.put_once(f"{prefix}000000000001-000000000002", b'{"leaves":[]}', locked_until=until)
    with pytest.raises(EvidenceConflict, match="something else than the database's log"):
        record(stores, new_statement())


def test_a_log_that_contradicts_what_was_signed_is_not_signed_again(stores, command):
    for _ in range(2):
        record(stores, new_statement())
    tamper(stores, ("UPDATE steward.log_nodes SET hash = sha256('other') WHERE level = 1",))
    with pytest.raises(LogForked, match="does not begin with the 2 entries that were signed"):
        record(stores, new_statement())
    assert [size for size, _ in _signed(stores)] == [1, 2]
    assert ("kept hash", None) in command.findings(stores)
