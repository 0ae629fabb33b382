"""The keyring's backup as a flow: proved before anything old goes, and gone when the retention says so."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError

import tasks.durable
from flows.backup_keyring import BackupRequest, backup_keyring
from replica import inventory
from steward.clients import erasures
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.keyring import open_keyring
from steward.clients.keyring_backups import dump
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_errors import VaultUnavailable
from steward.clients.keyvault_journal import JournaledVault
from steward.clients.postgres import connect, keyring_database
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.keys.backups import Backup, key_of, moment_of
from steward.keys.backups_errors import BackupsLocked
from steward.keys.backups_report import BackupNotVerified
from steward.operations.claims import Identity, claim
from steward.operations.ledger import Ledger
from steward.verdicts import Verdict
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact, recording_in
from tests.integration.fresh_database import superuser
from tests.keyring_ground import DAYS, keyring_ground, query, stored_versions

pytestmark = pytest.mark.without_search

FLOW = "flows.backup_keyring.backup_keyring"


@pytest.fixture
def ground(replica, tmp_path, monkeypatch):
    with keyring_ground(inventory.settings_file(replica), tmp_path, lease_seconds=2) as made, recording_in(replica):
        monkeypatch.setenv("STEWARD_SETTINGS", str(made.file))
        with open_vault(made.settings.vault) as vault, open_keyring(made.settings.keyring) as ring:
            for tenant in ("acme", "globex"):
                ring.enrol(tenant, vault)
        yield made


def run(label):
    return backup_keyring(BackupRequest(label=label))


def statements(settings):
    rows = query(settings, "SELECT envelope FROM steward.evidence ORDER BY id")
    return [parse_statement(open_envelope(envelope.encode()).payload) for (envelope,) in rows]


def planted(settings, days):
    """The backup that the flow would have taken *days* ago of a keyring like this one, registered as it does it."""
    dumped = dump(keyring_database(settings.keyring, settings.vault))
    at = dumped.header.taken_at - timedelta(days=days)
    described = {"epoch": dumped.header.epoch, "sha256": "0" * 64, "bytes": len(dumped.body), "rows": {}}
    made = Backup(key=key_of(at, 1, days), taken_at=at, erased=dumped.erased, **described)
    with closing(Ledger(settings)) as book, open_backup_bucket(settings) as bucket, connect(settings) as db:
        earlier = claim(book, Identity("backup-keyring", "keyring", f"{at}", f"earlier/{days}"))
        erasures.register(db, made, earlier.id)
        bucket.put_once(made.key, dumped.body)
    return made.key


def grow_old(settings, key):
    """Days pass for one backup: it is there under an earlier moment's name."""
    older = key_of(moment_of(key) - timedelta(days=DAYS), 1, 1)
    with open_backup_bucket(settings) as bucket:
        bucket.put_once(older, bucket.get(key))
        for each in bucket.versions():
            if each.key == key:
                bucket.delete(each)
    query(
        settings,
        "UPDATE steward.keyring_backups SET key = %s, taken_at = %s WHERE key = %s",
        older,
        moment_of(older),
        key,
    )


def test_a_backup_is_proved_told_and_made_once_a_day(ground):
    first = backup_keyring()
    assert (first.verdict, first.checked.unwrapped, first.checked.living) == (Verdict.VERIFIED, 2, 2)
    assert first.period == str(datetime.now(UTC).date())
    assert [key for key, _ in stored_versions(ground.settings)] == [first.backup.key]
    assert "verdict: VERIFIED" in artifact("keyring-backup")
    (told,) = statements(ground.settings)
    assert (told.operation, told.verdict, told.subject) == ("backup-keyring", Verdict.VERIFIED, "keyring")
    assert told.artifacts[0].digest == {"sha256": first.backup.sha256}
    assert told.figures["retention_days"] == DAYS
    assert told.figures["key_calls"]["by_action"]["KeyUnwrap"] == 2
    again = backup_keyring()
    assert again == first
    assert len(stored_versions(ground.settings)) == 1


def test_what_is_older_than_the_retention_is_gone_in_every_version_and_the_listing_shows_it(ground):
    old, young = planted(ground.settings, DAYS + 1), planted(ground.settings, 1)
    with open_backup_bucket(ground.settings) as bucket:
        name = ground.settings.objects.backup_bucket
        bucket._client.put_object(Bucket=name, Key=old, Body=b"a second version")
        bucket._client.delete_object(Bucket=name, Key=old)
    report = run("now")
    assert {each.key for each in report.pruned.deleted} == {old}
    assert len(report.pruned.deleted) == 3
    assert {key for key, _ in stored_versions(ground.settings)} == {young, report.backup.key}
    assert report.pruned.remaining == 2
    assert datetime.now(UTC) - report.pruned.oldest < timedelta(days=DAYS)


def test_the_run_that_removes_the_last_backup_with_a_tenant_says_that_its_erasure_is_complete(ground):
    held = planted(ground.settings, 1)
    with open_keyring(ground.settings.keyring) as ring:
        ring.erase("acme")
    waiting = run("too-young")
    assert [each.tenant for each in waiting.erasures.outstanding] == ["acme"]
    assert waiting.erasures.completed == ()
    until = waiting.erasures.outstanding[0].complete_after
    assert timedelta(days=DAYS - 1) < until - datetime.now(UTC) <= timedelta(days=DAYS)
    grow_old(ground.settings, held)
    done = run("gone")
    assert (done.erasures.completed, done.erasures.outstanding) == (("acme",), ())
    assert statements(ground.settings)[-1].figures["erasures_complete"] == ["acme"]
    assert "the erasure of `acme` is complete" in artifact("keyring-backup")


@pytest.fixture
def impatient(monkeypatch):
    """Steps that fail are not tried again: what waiting cures is not what is tried here."""
    monkeypatch.setattr(tasks.durable, "is_transient", lambda _: False)


def untouched(settings, old):
    return old in {key for key, _ in stored_versions(settings)}


def test_a_backup_that_comes_back_otherwise_is_refuted_and_nothing_is_pruned(ground, replica):
    old = planted(ground.settings, DAYS + 1)
    run_killed(replica, ground.file, FLOW, {"label": "rotten"}, Death("before", "verify_backup"))
    with open_backup_bucket(ground.settings) as bucket:
        (new,) = [each for each in bucket.versions() if each.key != old]
        body = bytearray(bucket.get(new.key))
        body[-30] ^= 1
        bucket._client.put_object(Bucket=ground.settings.objects.backup_bucket, Key=new.key, Body=bytes(body))
    with pytest.raises(BackupNotVerified) as refuted:
        run("rotten")
    assert (refuted.value.verdict, refuted.value.report.pruned.deleted) == (Verdict.REFUTED, ())
    assert "its SHA-256 is another" in refuted.value.message
    assert untouched(ground.settings, old)
    assert statements(ground.settings)[-1].verdict is Verdict.REFUTED
    assert "verdict: REFUTED" in artifact("keyring-backup")
    # Another run begins another round, with a backup of its own.
    assert run("rotten").verdict is Verdict.VERIFIED
    assert not untouched(ground.settings, old)


def test_a_backup_of_keys_in_the_wrong_rows_is_refuted(ground):
    with superuser(ground.settings, conninfo_to_dict(ground.settings.keyring.url)["dbname"]) as rows:
        rows.execute("SET session_replication_role = replica")
        rows.execute(
            "UPDATE keyring.wraps SET wrapped = (SELECT wrapped FROM keyring.wraps WHERE key_id = 2) WHERE key_id = 1"
        )
    with pytest.raises(BackupNotVerified, match="key 1 of the backup does not open") as refuted:
        run("moved")
    assert refuted.value.report.checked.unwrapped == 1


def test_while_the_vault_is_away_a_backup_is_taken_and_nothing_is_claimed_or_pruned(ground, impatient, monkeypatch):
    old = planted(ground.settings, DAYS + 1)

    def away(*_):
        raise VaultUnavailable("the vault cannot be reached", hint="see whether it runs")

    with monkeypatch.context() as outage:
        outage.setattr(JournaledVault, "unwrap", away)
        with pytest.raises(BackupNotVerified) as unknown:
            run("away")
    assert unknown.value.verdict is Verdict.UNKNOWN
    assert "cannot be reached" in unknown.value.report.error
    assert untouched(ground.settings, old)
    assert statements(ground.settings)[-1].verdict is Verdict.UNKNOWN
    assert run("away").verdict is Verdict.VERIFIED
    assert not untouched(ground.settings, old)


def test_an_emptied_keyring_is_no_reason_to_delete_the_backups_of_the_full_one(ground):
    old = planted(ground.settings, DAYS + 1)
    with open_keyring(ground.settings.keyring) as ring:
        ring.erase("acme")
        ring.erase("globex")
    with pytest.raises(BackupNotVerified, match="no living key"):
        run("emptied")
    assert untouched(ground.settings, old)


def test_a_bucket_with_object_lock_is_refused_before_anything_is_read(ground):
    ground.file.write_text(ground.file.read_text().replace(ground.settings.objects.backup_bucket, "evidence"))
    with pytest.raises(BackupsLocked):
        run("locked")
    assert stored_versions(ground.settings) == []
    assert query(ground.settings, "SELECT count(*) FROM steward.keyring_backups") == [(0,)]


def test_killed_at_each_of_its_steps_it_makes_one_backup_and_tells_it_once(ground, replica):
    old = planted(ground.settings, DAYS + 1)
    for step in ("take_backup", "prune_backups", "settle_erasures", "record_backup_evidence"):
        run_killed(replica, ground.file, FLOW, {"label": "killed"}, Death("after", step))
    report = run("killed")
    assert (report.verdict, report.attempt) == (Verdict.VERIFIED, 4)
    assert [key for key, _ in stored_versions(ground.settings)] == [report.backup.key]
    assert not untouched(ground.settings, old)
    assert query(ground.settings, "SELECT key, verdict FROM steward.keyring_backups WHERE pruned_at IS NULL") == [
        (report.backup.key, "VERIFIED")
    ]
    assert [each.period.partition("/")[2] for each in statements(ground.settings)].count("killed") == 1


def test_what_is_to_be_made_is_named_as_a_label_and_nothing_else():
    with pytest.raises(ValidationError):
        BackupRequest(label="../evidence")
