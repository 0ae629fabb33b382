"""TenantKeys while keys are rotated: what readers learn and when, and what they may acknowledge."""

import asyncio
import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.fieldcrypt import FieldCipher, key_id
from steward.fieldcrypt.cipher import AsyncFieldCipher
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    KeyRetired,
    KeyringTampered,
    KeysRefused,
    KeysUnavailable,
    TenantErased,
)
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.tenantkeys import TenantKeys
from tests.unit.fieldcrypt.in_memory import VaultAway, VaultForbids, until


def idle(keys):
    until(lambda: len(keys._refresher._flights) == 0)


def rotate(keyring, tenant):
    """A new generation in current use. Returns its key id."""
    made = keyring.add_generation(tenant)
    keyring.switch(tenant, made)
    return made


def caught_up(keys, keyring):
    """What an application's acknowledger does, until it may acknowledge."""
    since = keys.seen_epoch()
    until(lambda: keys.catch_up(keyring.epoch, keyring.changed(since)))


# What an unknown key id leads to


def test_a_ciphertext_under_a_new_generation_is_read_at_once(timed, keyring, vault):
    reader = timed()
    reader.of("acme")
    made = rotate(keyring, "acme")
    with TenantKeys(keyring, vault) as writer:
        written = FieldCipher("acme", writer).encrypt("t", "f", 1, "value")
    assert key_id(written) == made
    assert FieldCipher("acme", reader).decrypt("t", "f", 1, written) == "value"


def test_a_coroutine_reads_it_at_once_too(timed, keyring, vault):
    reader = timed()
    reader.of("acme")
    rotate(keyring, "acme")
    with TenantKeys(keyring, vault) as writer:
        written = FieldCipher("acme", writer).encrypt("t", "f", 1, "value")
    assert asyncio.run(AsyncFieldCipher("acme", reader).decrypt("t", "f", 1, written)) == "value"


def test_damaged_key_ids_ask_the_keyring_once_a_second(timed, keyring, clock):
    keys = timed()
    keys.of("acme")
    for claimed in range(1000, 1100):
        keys.seek("acme", claimed)
    assert keyring.loaded["acme"] == 2
    clock.advance(1)
    keys.seek("acme", 1000)
    assert keyring.loaded["acme"] == 3


def test_a_key_id_below_the_newest_known_cannot_be_new_and_asks_nobody(timed, keyring):
    keys = timed()
    foreign = keyring.current("acme")
    written = FieldCipher("acme", keys).encrypt("t", "f", 1, "value")
    keys.of("globex")
    with pytest.raises(CiphertextForeign):
        FieldCipher("globex", keys).decrypt("t", "f", 1, written)
    assert foreign < keyring.current("globex")
    assert keyring.loaded["globex"] == 1


def test_nobody_calls_a_key_id_foreign_while_the_keyring_cannot_be_asked(timed, keyring, clock):
    keys = timed()
    first = keys.of("acme")
    with keyring.door.failing(VaultAway):
        with pytest.raises(KeysUnavailable):
            keys.seek("acme", 1000)
        clock.advance(0.5)
        with pytest.raises(KeysUnavailable):
            keys.seek("acme", 1000)
        assert keyring.door.calls == 2
        assert keys.of("acme") is first
    clock.advance(1)
    assert keys.seek("acme", 1000).newest_id < 1000


def test_a_load_that_had_read_the_keyring_before_is_not_taken_for_an_answer(timed, keyring, vault, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(250)
    with ThreadPoolExecutor(1) as pool:
        with vault.door.shut():
            keys.of("acme")
            vault.door.wait_for(2)
            made = rotate(keyring, "acme")
            sought = pool.submit(keys.seek, "acme", made)
            until(lambda: keys._refresher._flights.get("acme").again)
        assert sought.result().writing.key_id == made
    # When it was cold, when it was due, and once more since somebody sought: by one thread, though it was asked of two.
    assert keyring.loaded["acme"] == 3


# Wraps and the vault's key


def test_either_wrap_serves_while_the_vaults_key_is_rotated(timed, keyring, vault):
    old, new = vault.newest, vault.rotate()
    keyring.rewrap("acme")
    keyring.rewrap("globex")
    vault.disabled = {new}
    assert timed().of("acme")
    vault.disabled = {old}
    assert timed().of("globex")
    vault.disabled = {old, new}
    with pytest.raises(KeysRefused, match=f"{new} is disabled"):
        timed().of("acme")


def test_a_vault_that_is_away_is_no_reason_to_try_the_older_wrap(timed, keyring, vault):
    vault.rotate()
    keyring.rewrap("acme")
    with vault.door.failing(VaultAway), pytest.raises(KeysUnavailable):
        timed().of("acme")
    assert vault.door.calls == 1


def test_a_new_version_of_the_vaults_key_is_used_within_a_ttl(timed, keyring, vault, clock):
    """Known accident (kroxylicious#1339): a cache that went on with the old KEK, and failed when that was disabled."""
    keys = timed()
    first = keys.of("acme").writing
    old, new = vault.newest, vault.rotate()
    keyring.rewrap("acme", keep_old=False)
    vault.disabled = {old}
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    assert vault.unwrapped[new] == 1
    assert keys.of("acme").writing is first, "the same key keeps what was derived from it"
    assert keys.status().failures == 0


def test_a_disabled_version_of_the_vaults_key_ends_what_only_it_unwraps(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    vault.disabled = {vault.newest}
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    clock.advance(50)
    with pytest.raises(KeysRefused, match="disabled"):
        keys.of("acme")


def test_a_wrap_moved_from_another_tenant_is_refused(timed, keyring):
    keyring.move_wraps("globex", "acme")
    with pytest.raises(KeyringTampered, match="'acme'"):
        timed().of("acme")


def test_a_live_generation_without_a_wrap_is_refused(timed, keyring):
    keyring.destroy("acme", keyring.current("acme"))
    keyring.set_state("acme", 1, State.CURRENT)
    with pytest.raises(KeyringTampered, match="has no wrapped key"):
        timed().of("acme")


# Generations


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


# Epochs


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


# Keys in use while they are replaced


def test_no_running_encryption_ever_meets_a_wiped_key(timed, keyring, clock):
    """Two tenants push each other out of a memory for one, under four threads, while keys expire and rotate."""
    keys = timed(most_tenants=1, most_uses=7, load_seconds=1e6)

    def write(thread):
        written = []
        for number in range(150):
            tenant = ("acme", "globex")[(number + thread) % 2]
            if thread == 0:
                clock.advance(20)
                if number % 15 == 0:
                    rotate(keyring, tenant)
            row, value = f"{thread}-{number}", f"value {number}"
            written.append((tenant, row, value, FieldCipher(tenant, keys).encrypt("t", "f", row, value)))
        return written

    with ThreadPoolExecutor(4) as pool:
        written = [each for thread in pool.map(write, range(4)) for each in thread]
    assert keys.status().evicted > 0
    reader = timed()
    assert all(
        FieldCipher(tenant, reader).decrypt("t", "f", row, text) == value for tenant, row, value, text in written
    )


def test_a_key_outlives_its_eviction_in_the_hands_of_who_uses_it(timed):
    keys = timed(most_tenants=1)
    held = keys.of("acme").writing
    secret = bytes(held.key)
    keys.of("globex")
    assert keys.status().evicted == 1
    assert bytes(held.key) == secret != bytes(32)


def test_an_encryption_in_flight_while_its_key_retires_is_named_and_not_lost(timed, keyring, vault):
    """Known accident (elasticsearch#148203): bytes written under a key that retired meanwhile could not be read."""
    keys = timed()
    cipher = FieldCipher("acme", keys)
    old = keyring.current("acme")
    # A writer took its keys, and stands still before it writes its row.
    late = cipher.encrypt("t", "f", 1, "late")
    made = rotate(keyring, "acme")
    caught_up(keys, keyring)
    # From the acknowledgement on nobody begins with the old key.
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda row: cipher.encrypt("t", "f", row, "value"), range(100)))
    assert {key_id(each) for each in written} == {made}
    keyring.retire("acme", old)
    caught_up(keys, keyring)
    with pytest.raises(KeyRetired, match=f"key {old} "):
        cipher.decrypt("t", "f", 1, late)
    keyring.set_state("acme", old, State.PREVIOUS)
    caught_up(keys, keyring)
    assert cipher.decrypt("t", "f", 1, late) == "late"
