"""A key id that TenantKeys do not know may be a new one: the keyring is asked at once, though once a second at most."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.fieldcrypt import FieldCipher, key_id
from steward.fieldcrypt.cipher import AsyncFieldCipher
from steward.fieldcrypt.errors import CiphertextForeign, KeysUnavailable
from steward.fieldcrypt.tenantkeys import TenantKeys
from tests.unit.fieldcrypt.in_memory import VaultAway, until
from tests.unit.fieldcrypt.tenantkeys_ground import rotate


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
