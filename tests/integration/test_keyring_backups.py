"""Backups of the keyring on a real PostgreSQL, object store and vault: what comes back, and what must not."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from replica import inventory
from steward.__main__ import main
from steward.clients import erasures
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.keyring import open_keyring
from steward.clients.keyring_backups import KEY_ID_GAP, dump, into_scratch, restore
from steward.clients.keyvault import open_vault
from steward.clients.postgres import connect, keyring_database
from steward.clients.s3 import BucketMissing
from steward.fieldcrypt.errors import TenantErased
from steward.keys.backups import key_of
from steward.keys.backups_errors import (
    BackupPlaceUnnamed,
    BackupsLocked,
    BackupUnreadable,
    KeyringNotEmpty,
    RestoreDiffers,
)
from steward.keys.backups_format import PartWriter, assemble, read_header, text_of
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_keyring import empty_keyring, fresh_keyring
from tests.keyring_ground import changed, keyring_ground, query, stored_versions

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def ground(replica, tmp_path_factory):
    with keyring_ground(inventory.settings_file(replica), tmp_path_factory.mktemp("backups")) as made:
        lived_in(made.settings)
        yield made


def lived_in(settings):
    """Tenants in all states of a key's life; `gone` is erased."""
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring, settings.vault) as ring:
        for tenant in ("acme", "gone", "tab\tand \\ and ünïcode"):
            ring.enrol(tenant, vault)
        ring.switch("acme", ring.add_generation("acme", vault).generations[1].key_id)
        ring.retire("acme", ring.load("acme").generations[0].key_id)
        ring.add_generation("acme", vault)
        ring.erase("gone")


def database(settings):
    return keyring_database(settings.keyring, settings.vault)


@pytest.fixture
def taken(ground):
    return dump(database(ground.settings))


@pytest.fixture
def target(ground):
    with fresh_keyring(ground.settings) as fresh:
        yield fresh


def test_a_restored_keyring_is_equal_and_opens(taken, target):
    restored = restore(database(target), taken.body, [])
    assert restored.rows == {part.name: part.rows for part in taken.header.tables}
    assert set(restored.rows) >= {"tenants", "generations", "wraps", "epochs"}
    again = dump(database(target))
    assert again.header.tables == taken.header.tables
    assert (again.header.epoch, again.erased) == (taken.header.epoch, ("gone",))
    with open_vault(target.vault) as vault, open_keyring(target.keyring, target.vault) as ring:
        # The rules hold again, and go on from here.
        added = ring.enrol("after", vault).generations[0]
        assert added.key_id > taken.header.sequences["key_ids"] + KEY_ID_GAP
        for wrap in ring.load("acme").generations[1].wraps:
            assert vault.unwrap(wrap.kek, wrap.wrapped)


def test_a_restore_erases_again_whom_the_backup_still_has(taken, target):
    restored = restore(database(target), taken.body, ["acme", "gone", "never-seen"])
    assert restored.erased_again == ("acme",)
    with open_keyring(target.keyring, target.vault) as ring, pytest.raises(TenantErased):
        ring.load("acme")
    with connect(database(target)) as connection:
        left = connection.execute(
            "SELECT DISTINCT g.tenant FROM keyring.wraps JOIN keyring.generations g USING (key_id)"
        )
        assert left.fetchall() == [("tab\tand \\ and ünïcode",)]


def test_nothing_is_restored_over_a_keyring_that_has_rows(ground, taken):
    with pytest.raises(KeyringNotEmpty) as refused:
        restore(database(ground.settings), taken.body, [])
    assert "--to" in refused.value.hint
    assert dump(database(ground.settings)).header.tables == taken.header.tables


def repacked(body, change):
    """A backup whose text *change* has altered, and whose header says so: what a program that broke the format makes."""
    header, made = read_header(body), []
    for part in header.tables:
        writer = PartWriter(part.name, part.columns)
        writer.feed(change(part.name, b"".join(text_of(body, header, part))))
        made.append(writer.done())
    tables = tuple(part for part, _ in made)
    return assemble(header.model_copy(update={"tables": tables}), [member for _, member in made])


@pytest.mark.parametrize(
    "change",
    [
        lambda name, text: text.replace(b"acme", b"acne") if name == "generations" else text,
        lambda name, text: text[:-5] if name == "wraps" else text,
        lambda name, text: b"x" + text if name == "epochs" else text,
    ],
    ids=["a generation of nobody's", "a row cut short", "a letter for a number"],
)
def test_a_backup_that_breaks_the_keyrings_rules_is_refused_whole(taken, target, change):
    with pytest.raises((BackupUnreadable, RestoreDiffers)) as refused:
        restore(database(target), repacked(taken.body, change), [])
    assert refused.value.__cause__ is None
    with connect(database(target)) as connection:
        assert connection.execute("SELECT count(*) FROM keyring.tenants").fetchone() == (0,)
    restore(database(target), taken.body, [])


def test_a_damaged_backup_is_found_before_anything_is_restored(taken, target):
    body = bytearray(taken.body)
    body[-40] ^= 1
    with pytest.raises(BackupUnreadable, match="damaged since it was taken"):
        restore(database(target), bytes(body), [])


def test_a_scratch_holds_what_the_backup_does_and_leaves_nothing(ground, taken):
    scratched = into_scratch(database(ground.settings), taken.body, 2)
    assert (scratched.findings, scratched.living, len(scratched.sample)) == ((), 4, 2)
    assert dump(database(ground.settings)).header.tables == taken.header.tables


def test_a_backup_shows_one_moment_whatever_commits_meanwhile(ground):
    """A generation and its wrap commit as one: a backup that had either without the other could not be restored."""
    with open_vault(ground.settings.vault) as vault, open_keyring(ground.settings.keyring) as ring:
        ring.enrol(secrets.token_hex(4), vault)
        with connect(database(ground.settings)) as held:
            held.execute("LOCK TABLE keyring.readers IN ACCESS EXCLUSIVE MODE")
            # Nobody's sign of life is waited for.
            body = dump(database(ground.settings)).body
    assert into_scratch(database(ground.settings), body, 1).findings == ()


def test_a_bucket_that_would_not_let_go_is_refused(ground):
    for name, refusal in (("evidence", BackupsLocked), (None, BackupPlaceUnnamed), ("nowhere", BucketMissing)):
        with (
            pytest.raises(refusal) as refused,
            open_backup_bucket(changed(ground.settings, "objects", backup_bucket=name)),
        ):
            pass
        assert refused.value.hint


def test_an_object_is_written_once_and_each_version_is_deleted_by_itself(ground):
    key = key_of(datetime.now(UTC) - timedelta(days=9), 1, 1)
    with open_backup_bucket(ground.settings) as bucket:
        bucket.put_once(key, b"first")
        bucket.put_once(key, b"second")
        assert bucket.get(key) == b"first"
        bucket._client.put_object(Bucket=ground.settings.objects.backup_bucket, Key=key, Body=b"over")
        bucket._client.delete_object(Bucket=ground.settings.objects.backup_bucket, Key=key)
        assert not bucket.has(key)
        versions = [each for each in bucket.versions() if each.key == key]
        assert [each.is_marker for each in versions].count(True) == 1
        assert len(versions) == 3
        for each in versions:
            bucket.delete(each)
            bucket.delete(each)
    assert not [name for name, _ in stored_versions(ground.settings) if name == key]


@pytest.fixture
def command(ground, capsys):
    """Runs `python -m steward` on the ground: exit code, and what it printed."""

    def run(*arguments, file=ground.file):
        code = main([*arguments, "--settings", str(file)])
        out, err = capsys.readouterr()
        return code, out + err

    return run


@contextmanager
def listed(settings, *tenants):
    """*tenants* are in the list of erasures, which nothing is taken off again by any user but its owner."""
    with connect(settings) as db:
        for tenant in tenants:
            erasures.note_erasure(db, tenant, "ticket 12", None)
    try:
        yield
    finally:
        query(settings, "ALTER TABLE steward.erasures DISABLE TRIGGER USER")
        query(settings, "DELETE FROM steward.erasures")
        query(settings, "ALTER TABLE steward.erasures ENABLE TRIGGER USER")


def test_the_command_restores_into_an_empty_database_and_says_who_was_erased_again(ground, taken, command, tmp_path):
    (tmp_path / "backup").write_bytes(taken.body)
    with empty_keyring(ground.settings) as target, listed(ground.settings, "acme"):
        restoring = ("keyring", "restore", str(tmp_path / "backup"), "--to")
        code, told = command(*restoring, target.keyring.url)
        assert (code, "erased again: acme" in told) == (0, True), told
        assert command("keyring", "restore", str(tmp_path / "backup"), "--to", target.keyring.url)[0] == 1
        assert dump(database(target)).erased == ("acme", "gone")


def test_without_the_list_of_erasures_nothing_is_restored(ground, taken, command, tmp_path):
    (tmp_path / "backup").write_bytes(taken.body)
    away = tmp_path / "settings.toml"
    own = conninfo_to_dict(ground.settings.postgres.url)["dbname"]
    text = ground.file.read_text()
    here = ground.settings.postgres.url
    away.write_text(text.replace(here, f"postgresql://steward@127.0.0.1:{closed_port()}/{own}"))
    with empty_keyring(ground.settings) as target:
        code, told = command("keyring", "restore", str(tmp_path / "backup"), "--to", target.keyring.url, file=away)
        assert (code, "is not available" in told) == (1, True), told
        with connect(database(target)) as connection:
            assert connection.execute("SELECT to_regnamespace('keyring')").fetchone() == (None,)


@pytest.mark.parametrize(
    "case",
    [
        ("nothing-here", None, "no name of a backup"),
        ("keyring/nothing-here", None, "nothing to get"),
        (__file__, None, "no backup of a keyring"),
        ("backup", "postgresql://keyring:hunter2@127.0.0.1/x", "holds a password"),
        ("backup", "not a url", "cannot be read"),
    ],
)
def test_what_cannot_be_restored_is_told_with_a_hint(ground, taken, command, tmp_path, case):
    source, to, words = case
    (tmp_path / "backup").write_bytes(taken.body)
    named = str(tmp_path / "backup") if source == "backup" else source
    code, told = command("keyring", "restore", named, "--to", to or ground.settings.keyring.url)
    assert code == 1
    assert words in told
    assert "HINT" in told
    assert "hunter2" not in told


def test_a_keyring_that_came_back_by_other_means_is_erased_again(ground, command):
    with open_vault(ground.settings.vault) as vault, open_keyring(ground.settings.keyring) as ring:
        ring.enrol("back", vault)
        with listed(ground.settings, "back", "never-seen"):
            assert "erased again: back (2 listed)" in command("keyring", "erase-again")[1]
            assert "erased again: nobody" in command("keyring", "erase-again")[1]
        with pytest.raises(TenantErased):
            ring.load("back")


def test_nobody_takes_a_name_off_the_list_by_accident(ground):
    with listed(ground.settings, "acme"):
        for statement in ("DELETE FROM steward.erasures", "TRUNCATE steward.erasures"):
            with pytest.raises(psycopg.errors.RaiseException, match="who was erased stays erased"):
                query(ground.settings, statement)


def test_the_command_lists_what_is_there(ground, command):
    key = key_of(datetime.now(UTC), 1, 1)
    assert command("keyring", "backups") == (0, "no backup is there\n")
    with open_backup_bucket(ground.settings) as bucket:
        bucket.put_once(key, b"x")
        assert f"{key}: of " in command("keyring", "backups")[1]
        assert "not in the register" in command("keyring", "backups")[1]
        for each in bucket.versions():
            bucket.delete(each)
