"""An epoch is acknowledged once nothing in memory is older, and no keyring that lags takes it back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.fieldcrypt.errors import KeysUnavailable, TenantErased
from tests.unit.fieldcrypt.in_memory import VaultAway, until
from tests.unit.fieldcrypt.tenantkeys_ground import caught_up, idle, rotate


def test_a_keyring_that_lags_takes_no_newer_key_away(timed, keyring, clock):
    keys = timed()
    keyring.lagging["acme"] = keyring.load("acme")
    lagging = keyring.lagging.pop("acme")
    made = rotate(keyring, "acme")
    assert keys.of("acme").writing.key_id == made
    keyring.lagging["acme"] = lagging
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    assert keys.of("acme").writing.key_id == made
    clock.advance(949.999)
    assert keys.of("acme").writing.key_id == made
    idle(keys)
    clock.advance(0.001)
    with pytest.raises(KeysUnavailable, match=r"answers with epoch 4, and 6 was seen before") as told:
        keys.of("acme")
    assert "lags" in told.value.hint


def test_nothing_is_acknowledged_before_all_in_memory_is_as_new(timed, keyring, vault):
    keys = timed()
    keys.of("acme")
    keys.of("globex")
    before = keys.seen_epoch()
    made = rotate(keyring, "acme")
    with vault.door.shut():
        assert not keys.catch_up(keyring.epoch, keyring.changed(before))
        assert keys.seen_epoch() == before
        vault.door.wait_for(3)
        assert not keys.catch_up(keyring.epoch, keyring.changed(before))
    caught_up(keys, keyring)
    assert keys.seen_epoch() == keyring.epoch
    assert keys.of("acme").writing.key_id == made
    assert (keyring.loaded["acme"], keyring.loaded["globex"]) == (2, 1), "what did not change is not loaded"


def test_without_word_of_what_changed_everything_is_loaded(timed, keyring):
    keys = timed()
    keys.of("acme")
    keys.of("globex")
    rotate(keyring, "acme")
    until(lambda: keys.catch_up(keyring.epoch))
    assert (keyring.loaded["acme"], keyring.loaded["globex"]) == (2, 2)


def test_a_load_under_way_brings_nothing_from_before_what_was_acknowledged(timed, keyring, vault):
    keys = timed()
    with ThreadPoolExecutor(1) as pool:
        with vault.door.shut():
            cold = pool.submit(keys.of, "acme")
            vault.door.wait_for(1)
            made = rotate(keyring, "acme")
            assert keys.catch_up(keyring.epoch, keyring.changed(0)), "nothing is in memory"
        assert cold.result().writing.key_id == made


def test_a_lagging_keyring_brings_nothing_from_before_what_was_acknowledged(timed, keyring):
    keyring.lagging["acme"] = keyring.load("acme")
    keys = timed()
    assert keys.catch_up(keyring.epoch + 3, {})
    with pytest.raises(KeysUnavailable, match="answers with epoch 4, and 7"):
        keys.of("acme")


def test_an_epoch_once_told_is_kept(timed, keyring):
    lagging = keyring.load("globex")
    rotate(keyring, "acme")
    keys = timed()
    keys.of("acme")
    assert keys.seen_epoch() == keyring.epoch
    keyring.lagging["globex"] = lagging
    with pytest.raises(KeysUnavailable, match="answers with epoch 4, and 6"):
        keys.of("globex")


def test_keys_that_serve_stale_count_as_old(timed, keyring, vault, clock):
    keys = timed()
    keys.of("acme")
    before = keys.seen_epoch()
    clock.advance(250)
    with vault.door.failing(VaultAway):
        keys.of("acme")
        idle(keys)
        rotate(keyring, "acme")
        clock.advance(100)
        assert keys.of("acme")
        assert not keys.catch_up(keyring.epoch, keyring.changed(before))
        idle(keys)
        assert not keys.catch_up(keyring.epoch, keyring.changed(before))
    clock.advance(60)
    caught_up(keys, keyring)


def test_keys_that_lapsed_hold_up_no_rotation(timed, keyring, clock):
    keys = timed()
    keys.of("acme")
    rotate(keyring, "acme")
    clock.advance(301)
    assert keys.catch_up(keyring.epoch, keyring.changed(0))
    assert keys.status().tenants == 0


def test_an_erased_tenant_goes_when_the_process_catches_up(timed, keyring):
    keys = timed()
    keys.of("acme")
    since = keys.seen_epoch()
    keyring.erase("acme")
    until(lambda: keys.catch_up(keyring.epoch, keyring.changed(since)))
    with pytest.raises(TenantErased):
        keys.of("acme")
