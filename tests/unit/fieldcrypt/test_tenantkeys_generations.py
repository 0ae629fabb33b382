"""TenantKeys ask for no generation oftener than they must, and one that does not open stops the rotation alone."""

import datetime as dt
import logging

import pytest

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.errors import KeysUnavailable
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.in_memory import VaultAway, VaultForbids, until
from tests.unit.fieldcrypt.tenantkeys_ground import caught_up, idle, rotate


def test_the_vault_is_asked_for_the_current_generation_alone_at_a_refresh(timed, keyring, vault, clock):
    for _ in range(3):
        rotate(keyring, "acme")
    keys = timed()
    before = keys.of("acme")
    assert vault.door.calls == 4
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    after = keys.of("acme")
    assert vault.door.calls == 5
    assert after is not before
    assert all(after.reading[each] is before.reading[each] for each in before.reading)


def test_new_wraps_are_tried_once(timed, keyring, vault, clock):
    rotate(keyring, "acme")
    keys = timed()
    keys.of("acme")
    vault.rotate()
    keyring.rewrap("acme")
    asked = []
    for _ in range(3):
        before = vault.unwrapped[vault.newest]
        clock.advance(250)
        keys.of("acme")
        idle(keys)
        asked.append(vault.unwrapped[vault.newest] - before)
    assert asked == [2, 1, 1]


def test_a_revocation_is_noticed_where_a_tenant_has_previous_generations_only(timed, keyring, vault, clock):
    keys = timed()
    keyring.set_state("acme", 1, State.PREVIOUS)
    assert keys.of("acme").current is None
    clock.advance(250)
    with vault.door.failing(VaultForbids):
        keys.of("acme")
        idle(keys)
    assert keys.status().refused == 1


def test_an_incoming_generation_that_does_not_open_stops_nobody_but_the_rotation(timed, keyring, vault, caplog):
    vault.rotate()
    keys = timed()
    keyring.add_generation("acme")
    vault.disabled = {vault.newest}
    with caplog.at_level(logging.ERROR):
        assert FieldCipher("acme", keys).encrypt("t", "f", 1, "value")
        until(lambda: "incoming generation 2 of tenant 'acme' does not open" in caplog.text)
    assert not keys.catch_up(keyring.epoch, keyring.changed(0))
    idle(keys)
    assert keys.seen_epoch() < keyring.epoch


def test_an_incoming_generation_is_not_left_out_because_the_vault_is_away(timed, keyring, vault, monkeypatch):
    vault.rotate()
    keyring.add_generation("acme")
    unwrap = vault.unwrap

    def away_for_the_new(kek, wrapped):
        if kek == vault.newest:
            raise VaultAway("away")
        return unwrap(kek, wrapped)

    monkeypatch.setattr(vault, "unwrap", away_for_the_new)
    with pytest.raises(KeysUnavailable):
        timed().of("acme")


def test_an_incoming_generation_that_does_not_open_is_tried_once_a_second(timed, keyring, vault, clock):
    vault.rotate()
    keyring.add_generation("acme")
    vault.disabled = {vault.newest}
    keys = timed()
    keys.of("acme")
    for seconds in range(3):
        for _ in range(5):
            assert not keys.catch_up(keyring.epoch, {})
            idle(keys)
        assert keyring.loaded["acme"] == seconds + 1
        clock.advance(1)


def test_an_incoming_generation_that_opens_later_lets_the_rotation_go_on(timed, keyring, vault, clock):
    vault.rotate()
    keys = timed()
    keyring.add_generation("acme")
    vault.disabled = {vault.newest}
    keys.of("acme")
    assert not keys.catch_up(keyring.epoch, {})
    idle(keys)
    vault.disabled = set()
    clock.advance(1)
    caught_up(keys, keyring)
    assert len(keys.of("acme").reading) == 2


def test_a_generation_in_use_for_too_long_is_warned_of_once_and_used(timed, keyring, clock, caplog):
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=36)
    keyring.switch("acme", keyring.add_generation("acme", created_at=old))
    keys = timed()
    assert keys.of("acme").writing.wrapped.created_at == old
    assert keys.status().overdue == 1
    for _ in range(3):
        clock.advance(250)
        keys.of("acme")
        idle(keys)
    until(lambda: "generation 2 is 36 days old" in caplog.text)
    assert caplog.text.count("days old") == 1
