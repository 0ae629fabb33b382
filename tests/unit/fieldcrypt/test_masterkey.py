from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.fieldcrypt import masterkey
from steward.fieldcrypt.errors import KeyringTampered
from tests.unit.fieldcrypt.reference import frame
from tests.unit.fieldcrypt.strategies import BRIEF, TEXT

KEY = bytes(range(32))
KEY_IDS = st.integers(1, 2**31 - 1)


@given(TEXT, KEY_IDS)
@BRIEF
def test_a_master_key_comes_back_to_its_tenant_and_generation(tenant, key_id):
    opened = masterkey.open_sealed(tenant, key_id, masterkey.seal(tenant, key_id, KEY))
    assert (type(opened), opened) == (bytearray, KEY)


def test_what_the_vault_wraps_is_what_the_document_says():
    digest = hashlib.sha256(frame(b"steward tenant key 1", b"acme", bytes([0, 0, 0, 7]))).digest()
    assert masterkey.seal("acme", 7, KEY) == KEY + digest


@given(TEXT, KEY_IDS, TEXT, KEY_IDS)
@BRIEF
def test_a_wrapped_key_that_was_moved_is_refused(tenant, key_id, other_tenant, other_key_id):
    payload = masterkey.seal(tenant, key_id, KEY)
    for moved in {(tenant, other_key_id), (other_tenant, key_id), (other_tenant, other_key_id)} - {(tenant, key_id)}:
        with pytest.raises(KeyringTampered):
            masterkey.open_sealed(*moved, payload)


def test_names_and_key_ids_do_not_run_into_each_other():
    with pytest.raises(KeyringTampered):
        masterkey.open_sealed("acme\x00", 7, masterkey.seal("acme", 7, KEY))


def test_any_other_length_is_refused():
    payload = masterkey.seal("acme", 7, KEY)
    for wrong in (b"", KEY, payload[:-1], payload + b"x", payload + payload, payload[1:]):
        with pytest.raises(KeyringTampered):
            masterkey.open_sealed("acme", 7, wrong)
    for length in (0, 16, 31, 33, 64):
        with pytest.raises(ValueError, match=f"a master key of {length} bytes, expected 32"):
            masterkey.seal("acme", 7, bytes(length))


def test_any_flipped_bit_of_the_digest_is_refused():
    payload = masterkey.seal("acme", 7, KEY)
    for bit in range(256):
        damaged = bytearray(payload)
        damaged[32 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyringTampered):
            masterkey.open_sealed("acme", 7, bytes(damaged))


def test_the_refusal_names_the_row_and_not_the_key():
    with pytest.raises(KeyringTampered, match="generation 8 of tenant 'globex'") as refused:
        masterkey.open_sealed("globex", 8, masterkey.seal("acme", 7, KEY))
    assert KEY.hex() not in repr(refused.value.__dict__)
    assert "acme" not in str(refused.value)


def test_every_new_key_is_another():
    keys = [masterkey.new() for _ in range(100)]
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == 100
