"""What has gone wrong where others rotate keys, tried here: nothing is lost, and nothing is called rotated that is not."""

from __future__ import annotations

import threading

import pytest

import flows.monthly_key_rotation as flow_module
from steward.clients import keyring_rows
from steward.clients.encrypted_rows import EncryptedRows
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_errors import VaultKeyDisabled, VaultUnavailable
from steward.clients.keyvault_journal import JournaledVault
from steward.clients.postgres import DatabaseUnavailable
from steward.fieldcrypt import key_id
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.errors import CiphertextMoved, KeyRetired
from steward.keys.golden import GOLDEN_TENANT
from steward.verdicts import Verdict
from tasks import key_sweeps
from tests.rotation_ground import opened, sealed
from tests.rotation_runs import rotate

pytestmark = pytest.mark.without_search

ONE, OTHER = "customer-0001", "customer-0002"
BOTH = {"tenants": [ONE, OTHER]}
SUSPICION = {"reason": "suspected-compromise", "because": "a laptop was lost", "grace_days": 0}


class Crash(Exception):
    """The process is gone, with all that it had in memory."""


def after(monkeypatch, step, act):
    """Let *act* happen once, right after the flow's *step*."""
    done, original = [], getattr(flow_module, step)

    def then_act(*args):
        result = original(*args)
        if not done:
            done.append(1)
            act()
        return result

    monkeypatch.setattr(flow_module, step, then_act)


def crash(*_):
    raise Crash


# A new key that is only in memory when rows under it are committed.


def test_rows_are_committed_under_keys_that_a_process_that_crashed_right_after_did_not_take_along(
    customers, monkeypatch
):
    """EDDI#709, openbot#8: rows were re-encrypted and committed, and the key under which they were was stored last. A
    failure in between left rows that nothing opens, and running it again refused at those rows."""
    before = customers.values()
    original, committed = EncryptedRows.replace, list[int]()

    def replace_and_crash(self, table, leaf, replacements):
        committed.append(original(self, table, leaf, replacements))
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(EncryptedRows, "replace", replace_and_crash)
        assert rotate(**BOTH).verdict is Verdict.UNKNOWN
    assert sum(committed) > 0
    moved = {key_id(row.email) for row in customers.rows(ONE)}
    assert moved <= set(customers.key_ids(ONE))
    # To a process that has nothing but keyring and vault, everything is there.
    assert customers.values().items() >= before.items()
    assert rotate(**BOTH).verdict is Verdict.VERIFIED
    assert customers.values().items() >= before.items()


def test_a_key_that_the_keyring_did_not_take_has_encrypted_nothing(customers, monkeypatch):
    """The same accident from its other side: the vault has wrapped the key, and the keyring goes away before it has it."""
    before, rows = customers.values(), customers.rows()

    def goes_away(connection, new, number):
        raise DatabaseUnavailable("the keyring went away")

    with monkeypatch.context() as patch:
        patch.setattr(keyring_rows, "insert_next", goes_away)
        report = rotate(**BOTH)
    assert report.verdict is Verdict.UNKNOWN
    assert "the keyring went away" in report.error
    assert [row for row in customers.rows() if row.tenant != GOLDEN_TENANT] == rows
    assert customers.states(ONE) == ["current"]
    assert customers.values().items() >= before.items()


def test_a_rotation_that_is_taken_up_again_goes_on_with_the_keys_that_it_made(customers, monkeypatch):
    """No orphan generation, no second one."""
    with monkeypatch.context() as patch:
        patch.setattr(flow_module, "switch_writers", crash)
        assert rotate(**BOTH).verdict is Verdict.UNKNOWN
    made = customers.key_ids(ONE)
    assert rotate(**BOTH).verdict is Verdict.VERIFIED
    assert customers.key_ids(ONE) == made
    assert customers.states(ONE) == ["retired", "current"]


# A stale writer.


def test_a_stale_writers_row_keeps_its_old_key_until_it_is_moved(customers, monkeypatch):
    """agenticos#1082: a writer that still had the old key wrote after the sweep had passed, and its row was taken for one
    under the new key. Here it writes unknown to the keyring: nobody waited for it."""
    with customers.keys() as stale:
        written = sealed(stale, ONE, "written by a stale process")
    after(monkeypatch, "reencrypt", lambda: customers.put(written))
    report = rotate(**BOTH)
    assert (report.verdict, report.proof.below) == (Verdict.REFUTED, {ONE: 1})
    assert report.findings[0] == f"tenant {ONE}: 1 rows are under another key than the current one"
    # Its key is kept, so the row is read; the other tenant's is not.
    assert customers.states(ONE) == ["previous", "current"]
    assert customers.states(OTHER) == ["retired", "current"]
    assert customers.values()[written.id] == ("written by a stale process",) * 3
    report = rotate(**BOTH)
    assert report.verdict is Verdict.VERIFIED
    assert customers.values()[written.id] == ("written by a stale process",) * 3
    assert customers.states(ONE) == ["retired", "retired", "current"]


def test_a_new_keys_tag_on_an_old_envelope_is_never_taken_for_rotated(customers, monkeypatch):
    """agenticos#1082 once more: the row's key version said 2 and its envelope was of 1, and both keys were then let go of
    by what the rows said. Here the tag is in the envelope and authentic; a tag that lies is damage, named, and mended by
    whoever puts the right one back, since the old key is still there."""
    whole = customers.rows(ONE)[0]

    def tag():
        new = customers.key_ids(ONE)[-1].to_bytes(4, "big")
        customers.put(whole._replace(email=whole.email[:2] + new + whole.email[6:]))

    after(monkeypatch, "reencrypt", tag)
    report = rotate(**BOTH)
    assert (report.verdict, report.proof.damaged) == (Verdict.REFUTED, {ONE: 1})
    assert f"customers row {whole.id} of tenant {ONE}: email is damaged (CiphertextMoved)" in report.findings
    assert customers.values()[whole.id][0] is CiphertextMoved
    assert customers.states(ONE) == ["previous", "current"]
    customers.put(whole)
    assert rotate(**BOTH).verdict is Verdict.VERIFIED
    assert CiphertextMoved not in customers.values()[whole.id]


# Encryption in flight.


@pytest.fixture
def in_flight(customers):
    """A row that was encrypted before the rotation, in a transaction of the application's that is still to write it."""
    with customers.keys() as keys:
        row = sealed(keys, ONE, "in flight")
    with customers.application() as connection:
        connection.autocommit = False
        yield row, connection


def test_what_was_in_flight_while_its_key_was_to_retire_keeps_the_key(customers, in_flight, monkeypatch):
    """elasticsearch#148203: nobody knew how many encryptions were under way under the old key when the re-encryption was
    over and the key was let go of. Here the row is committed between the proof and the decision."""
    row, connection = in_flight
    after(monkeypatch, "reencrypt", lambda: customers.write(connection, row))
    after(monkeypatch, "prove_rotation", connection.commit)
    report = rotate(**BOTH)
    assert report.verdict is Verdict.REFUTED
    assert report.proof.refuted == set()
    (kept,) = report.retirement.kept.items()
    assert kept == (ONE, f"4 values are under key {key_id(row.email)}, written after the proof")
    assert customers.values()[row.id] == ("in flight",) * 3
    assert rotate(**BOTH).verdict is Verdict.VERIFIED
    assert customers.values()[row.id] == ("in flight",) * 3


def test_what_is_committed_after_its_key_was_disabled_is_not_lost(customers, in_flight, monkeypatch):
    """The same, later still: what the grace is for."""
    row, connection = in_flight
    after(monkeypatch, "reencrypt", lambda: customers.write(connection, row))
    after(monkeypatch, "disable_keys", connection.commit)
    assert rotate(**BOTH).verdict is Verdict.VERIFIED
    assert customers.values()[row.id] == (KeyRetired,) * 3
    assert rotate(**BOTH).retirement.reinstated == [(ONE, key_id(row.email))]
    assert customers.values()[row.id] == ("in flight",) * 3
    assert rotate(**BOTH).verdict is Verdict.VERIFIED
    assert customers.values()[row.id] == ("in flight",) * 3


def test_a_transaction_that_wrote_before_the_switch_is_waited_for(customers, in_flight, monkeypatch):
    """The same, earlier: the sweep could not see the row, and nothing would be said of it."""
    row, connection = in_flight
    customers.write(connection, row)
    asked, oldest = [], EncryptedRows.oldest_transaction

    def commit_when_waited_for(self):
        asked.append(oldest(self))
        if len(asked) == 2:
            connection.commit()
        return asked[-1]

    monkeypatch.setattr(EncryptedRows, "oldest_transaction", commit_when_waited_for)
    report = rotate(**BOTH)
    assert len(asked) > 2
    assert report.verdict is Verdict.VERIFIED
    assert customers.values()[row.id] == ("in flight",) * 3


def test_a_transaction_that_never_ends_is_named_and_old_keys_stay(customers, in_flight):
    row, connection = in_flight
    customers.write(connection, row)
    report = rotate(**BOTH, readers_seconds=1)
    assert report.verdict is Verdict.UNKNOWN
    assert "is still open after 1 s: nothing is re-encrypted" in report.error
    assert customers.states(ONE) == ["previous", "current"]


def test_without_a_grace_what_is_not_committed_yet_is_waited_for_before_a_key_is_destroyed(
    customers, in_flight, monkeypatch
):
    """A count sees what is committed. The row here is on its way while everything is counted."""
    row, connection = in_flight
    disabled, asked, oldest = threading.Event(), [], EncryptedRows.oldest_transaction

    def commit_when_waited_for(self):
        if disabled.is_set():
            asked.append(1)
            if len(asked) == 2:
                connection.commit()
        return oldest(self)

    after(monkeypatch, "reencrypt", lambda: customers.write(connection, row))
    after(monkeypatch, "disable_keys", disabled.set)
    monkeypatch.setattr(EncryptedRows, "oldest_transaction", commit_when_waited_for)
    report = rotate(**BOTH, grace_days=0)
    assert report.retirement.reinstated == [(ONE, key_id(row.email))]
    assert customers.states(ONE)[0] == "previous"
    assert customers.states(OTHER)[0] == "destroyed"
    assert customers.values()[row.id] == ("in flight",) * 3


# A cache that ignores the vault's new key.


def test_processes_with_warm_caches_follow_the_vaults_new_key_and_do_not_need_the_old_one(all_customers):
    """kroxylicious#1339: keys were cached with the wrap of the vault's old key, and went on being used, unknowing, after
    that had been rotated. Here the old version is switched off while two processes are warm."""
    before, old = all_customers.rows(), all_customers.kek_version(ONE)
    # One is asked for each key anew at every use; the other has what it has for five minutes.
    hasty = CachePolicy(ttl_seconds=0.01, vouch_seconds=0, stale_seconds=0)
    with all_customers.keys(hasty) as hasty_keys, all_customers.keys() as warm:
        said = {row.id: opened(warm, row) for row in before}
        assert {row.id: opened(hasty_keys, row) for row in before} == said
        report = rotate(**SUSPICION)
        assert report.verdict is Verdict.VERIFIED
        assert all_customers.versions()[old] is False
        for row in all_customers.rows():
            if row.id in said:
                assert opened(hasty_keys, row) == opened(warm, row) == said[row.id]
        # What they write now is under the new key, and read by a process that has just started.
        written = [sealed(keys, ONE, "after") for keys in (hasty_keys, warm)]
    newest = all_customers.key_ids(ONE)[-1]
    assert {key_id(row.email) for row in written} == {newest}
    with all_customers.keys() as fresh:
        assert [opened(fresh, row) for row in written] == [("after",) * 3] * 2
    wraps = all_customers.keyring("SELECT DISTINCT kek FROM keyring.wraps")
    assert [kek.rpartition("/")[2] for (kek,) in wraps] == [list(all_customers.versions())[-1]]


# An emergency that loses everything.


def test_an_emergency_keeps_the_key_of_what_it_could_not_move_and_nothing_under_the_vaults_old_key(all_customers):
    """keystone#1299: the emergency rotation let go of the old key at once and re-encrypted nothing, since the old key was
    not to be used again: every record before it was unreadable for ever. Here one row is damaged."""
    before, old = all_customers.values(), all_customers.kek_version(ONE)
    whole = all_customers.rows(ONE)[0]
    all_customers.put(whole._replace(notes=whole.notes[:-1] + bytes([whole.notes[-1] ^ 1])))
    report = rotate(**SUSPICION)
    assert (report.verdict, report.proof.refuted) == (Verdict.REFUTED, {ONE})
    assert all_customers.states(ONE) == ["previous", "current"]
    assert all_customers.states(OTHER) == ["destroyed", "current"]
    # What somebody may know opens nothing any more, and what was kept does not need it.
    assert all_customers.versions()[old] is False
    (refused,) = all_customers.keyring("SELECT key_id FROM keyring.generations WHERE tenant = %s AND number = 1", ONE)
    assert all_customers.keyring("SELECT count(*) FROM keyring.wraps WHERE key_id = %s", *refused) == [(1,)]
    all_customers.put(whole)
    assert all_customers.values().items() >= before.items()
    assert rotate(**SUSPICION).verdict is Verdict.VERIFIED
    assert all_customers.values().items() >= before.items()
    assert all_customers.states(ONE) == ["destroyed", "destroyed", "current"]


def test_an_emergency_leaves_no_key_under_the_vaults_old_versions_be_it_kept_or_disabled(all_customers):
    """What an earlier rotation had to keep, and what it disabled, is still to be had by whoever is in the right."""
    before, whole = all_customers.values(), all_customers.rows(ONE)[0]
    all_customers.put(whole._replace(notes=whole.notes[:-1] + bytes([whole.notes[-1] ^ 1])))
    rotate(**BOTH)
    assert (all_customers.states(ONE)[0], all_customers.states(OTHER)[0]) == ("previous", "retired")
    report = rotate(**SUSPICION | {"grace_days": 7})
    assert report.retirement.waiting_keks == []
    newest = all_customers.kek_version(ONE)
    assert [version for version, enabled in all_customers.versions().items() if enabled] == [newest]
    wraps = all_customers.keyring("SELECT DISTINCT kek FROM keyring.wraps")
    assert [kek.rpartition("/")[2] for (kek,) in wraps] == [newest]
    all_customers.put(whole)
    assert all_customers.values().items() >= before.items()


def test_an_emergency_whose_sweep_did_not_finish_destroys_nothing(all_customers, monkeypatch):
    """keystone#1299 once more: whatever the sweep says of itself, rows are proved and counted."""
    before = all_customers.values()
    with monkeypatch.context() as patch:
        patch.setattr(key_sweeps._Swept, "sweep", lambda *_: None)
        report = rotate(**SUSPICION)
    assert report.verdict is Verdict.REFUTED
    assert (report.retirement.retired, report.retirement.destroyed) == ([], [])
    assert len(report.retirement.kept) == 5
    assert all_customers.values().items() >= before.items()
    assert rotate(**SUSPICION).verdict is Verdict.VERIFIED
    assert all_customers.values().items() >= before.items()


@pytest.mark.parametrize("call", [6, 10])
def test_an_emergency_in_which_the_vault_goes_away_loses_nothing_and_is_gone_on_with(all_customers, monkeypatch, call):
    """keystone#1299 once more: at no call of the vault is there a key that was let go of too early."""
    before, old, asked = all_customers.values(), all_customers.kek_version(ONE), SUSPICION | {"grace_days": 7}
    unwrap, calls = JournaledVault.unwrap, list[str]()

    def goes_away(self, kek, wrapped):
        calls.append(kek)
        if len(calls) >= call:
            raise VaultUnavailable("the vault went away")
        return unwrap(self, kek, wrapped)

    with monkeypatch.context() as patch:
        patch.setattr(JournaledVault, "unwrap", goes_away)
        report = rotate(**asked)
    assert (report.verdict, report.error) == (Verdict.UNKNOWN, "the vault went away")
    assert all_customers.versions()[old]
    assert all_customers.values().items() >= before.items()
    assert rotate(**asked).verdict is Verdict.VERIFIED
    assert all_customers.values().items() >= before.items()
    assert all_customers.versions()[old] is False


def test_the_old_version_of_the_vaults_key_is_switched_off_only_where_every_key_has_another_wrap(all_customers):
    old = all_customers.kek_version(ONE)
    rotate(**SUSPICION)
    new = all_customers.kek_version(ONE)
    with open_vault(all_customers.settings.vault) as vault:
        ((kek, wrapped),) = all_customers.keyring(
            "SELECT kek, wrapped FROM keyring.wraps WHERE key_id = %s", all_customers.key_ids(ONE)[-1]
        )
        assert kek.endswith(new)
        assert vault.unwrap(kek, bytes(wrapped))
        with pytest.raises(VaultKeyDisabled):
            vault.unwrap(kek.replace(new, old), bytes(wrapped))
