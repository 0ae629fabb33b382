"""A key in use while it is replaced, evicted or retired is never wiped under its user."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.fieldcrypt import FieldCipher, key_id
from steward.fieldcrypt.errors import KeyRetired
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.tenantkeys_ground import caught_up, rotate


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
