from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.fieldcrypt import FieldCipher, key_id
from steward.fieldcrypt.envelope import LONGEST, OVERHEAD
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    CiphertextMoved,
    CiphertextOverlong,
    CiphertextRefused,
    CiphertextTampered,
    CiphertextTruncated,
    KeyDestroyed,
    KeyRetired,
    UnknownSuite,
    ValueNotSupported,
)
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.keyset import KeySet
from steward.fieldcrypt.values import MOST_BYTES, decode, encode
from tests.unit.fieldcrypt.known_keys import KnownKeys, generation, key_set, master_key, one_current
from tests.unit.fieldcrypt.reference import Spot, make_envelope, open_envelope
from tests.unit.fieldcrypt.strategies import BRIEF, EXAMPLES, ROW_IDS, VALUES, same

KEYS = one_current("acme", 7)
ACME = FieldCipher("acme", KEYS)
SPOT = Spot(master_key(7), 7, "acme", "customers", "email", 41)
SEALED = ACME.encrypt("customers", "email", 41, "ada@example.net")
assert SEALED is not None


def opened(ciphertext, cipher=ACME, table="customers", field="email", row_id=41):
    return cipher.decrypt(table, field, row_id, ciphertext)


@given(ROW_IDS, VALUES)
@BRIEF
def test_every_value_comes_back_where_it_was_put(row_id, value):
    sealed = ACME.encrypt("customers", "email", row_id, value)
    assert same(opened(sealed, row_id=row_id), value)


@given(ROW_IDS, VALUES)
@BRIEF
def test_a_decoder_written_from_the_document_opens_what_the_library_seals(row_id, value):
    sealed = ACME.encrypt("customers", "email", row_id, value)
    assert open_envelope(SPOT._replace(row_id=row_id), sealed) == encode(value)


@given(ROW_IDS, VALUES, st.binary(min_size=16, max_size=16))
@BRIEF
def test_the_library_opens_what_an_encoder_written_from_the_document_seals(row_id, value, salt):
    kind, plaintext = encode(value)
    sealed = make_envelope(SPOT._replace(row_id=row_id), kind, plaintext, salt)
    assert same(opened(sealed, row_id=row_id), decode(kind, plaintext))


@pytest.mark.parametrize("value", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_ciphertext_is_seventy_bytes_longer_than_the_value(value):
    kind, plaintext = encode(value)
    sealed = ACME.encrypt("customers", "email", 41, value)
    assert len(sealed) == len(plaintext) + 70
    assert sealed[:6] == bytes([1, kind << 4 | 1, 0, 0, 0, 7])


def test_no_two_ciphertexts_of_one_value_share_a_salt_a_commitment_or_a_body():
    sealed = [ACME.encrypt("customers", "email", 41, "x" * 32) for _ in range(500)]
    for part in (slice(6, 22), slice(22, 54), slice(54, 86), slice(86, 102)):
        assert len({ciphertext[part] for ciphertext in sealed}) == 500


def refusal_of(byte: int, bit: int) -> type[CiphertextRefused]:
    """What the document says of a flipped bit, in a str (kind 1) under key 7 of a tenant that has no other."""
    if byte == 0 or (byte == 1 and (bit < 4 or 1 ^ 1 << bit - 4 > 5)):
        return UnknownSuite
    if 2 <= byte < 6:
        return CiphertextForeign
    return CiphertextMoved if byte < 22 else CiphertextTampered


@pytest.mark.parametrize("byte", range(len(SEALED)))
def test_a_single_flipped_bit_is_refused_as_the_document_says(byte):
    for bit in range(8):
        damaged = bytearray(SEALED)
        damaged[byte] ^= 1 << bit
        with pytest.raises(CiphertextRefused) as refused:
            opened(bytes(damaged))
        assert type(refused.value) is refusal_of(byte, bit)


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_what_was_cut_is_refused(length):
    with pytest.raises(CiphertextTruncated if length < OVERHEAD else CiphertextTampered):
        opened(SEALED[:length])


def test_what_was_cut_in_front_or_in_the_middle_is_refused():
    for start in range(1, len(SEALED)):
        with pytest.raises(CiphertextRefused):
            opened(SEALED[start:])
        with pytest.raises(CiphertextRefused):
            opened(SEALED[: start - 1] + SEALED[start:])


@given(st.binary(min_size=1))
@BRIEF
def test_what_was_extended_is_refused(more):
    with pytest.raises(CiphertextTampered):
        opened(SEALED + more)
    with pytest.raises(CiphertextRefused):
        opened(more + SEALED)


def test_a_mebibyte_is_opened_and_nothing_longer_is_tried():
    largest = ACME.encrypt("customers", "email", 41, bytes(MOST_BYTES))
    assert len(largest) == LONGEST
    assert opened(largest) == bytes(MOST_BYTES)
    with pytest.raises(CiphertextOverlong, match="1048647 bytes, expected at most 1048646"):
        opened(largest + b"x")


@given(st.binary(max_size=2000))
@BRIEF
def test_bytes_that_are_no_ciphertext_are_refused(noise):
    with pytest.raises(CiphertextRefused):
        opened(noise)
    with pytest.raises(CiphertextRefused):
        opened(SEALED[:6] + noise)


@pytest.mark.parametrize("start", ["0011", "0211", "0110", "0112", "011f", "0161", "01f1", "1f11"])
def test_an_unknown_version_suite_or_kind_is_named_and_not_tried(start):
    with pytest.raises(UnknownSuite, match=f"begins with {start}"):
        opened(bytes.fromhex(start) + SEALED[2:])


def test_what_was_never_encrypted_is_not_quoted():
    for plain in (b"ada@example.net" * 10, "Zürich".encode(), b"\xff\xfe"):
        with pytest.raises(UnknownSuite, match="begins with no version of this format") as refused:
            opened(plain)
        assert plain[:2].hex() not in str(refused.value)


def test_a_ciphertext_that_is_no_bytes_is_refused_by_its_type():
    for wrong in (SEALED.hex(), 7, ["x"], object()):
        with pytest.raises(ValueNotSupported, match=f"type {type(wrong).__name__}, expected bytes"):
            opened(wrong)


def test_what_drivers_return_for_bytes_is_opened():
    for as_returned in (bytearray(SEALED), memoryview(SEALED), memoryview(bytearray(SEALED))):
        assert opened(as_returned) == "ada@example.net"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"table": "orders"},
        {"field": "phone"},
        {"table": "email", "field": "customers"},
        {"table": "customersemail", "field": ""},
        {"table": "customers.", "field": "email"},
        {"row_id": 42},
        {"row_id": -41},
        {"row_id": "41"},
        {"row_id": b"41"},
        {"row_id": (41,)},
        {"row_id": (41, 41)},
    ],
    ids=str,
)
def test_a_ciphertext_that_was_moved_is_refused_as_moved(elsewhere):
    with pytest.raises(CiphertextMoved):
        opened(SEALED, **elsewhere)


def test_another_tenants_ciphertext_is_refused_as_foreign():
    globex = FieldCipher("globex", KnownKeys(key_set("globex", {8: State.CURRENT})))
    with pytest.raises(CiphertextForeign, match="key 7, which is none of tenant 'globex'"):
        opened(SEALED, globex)


def test_the_tenants_name_counts_even_under_the_same_master_key():
    other = generation("acme ltd", 7, master=master_key(7))
    with pytest.raises(CiphertextMoved):
        opened(SEALED, FieldCipher("acme ltd", KnownKeys(KeySet("acme ltd", 1, {7: other}, {}, other))))


def test_the_same_key_id_over_another_master_key_opens_nothing():
    # What a keyring restored from the wrong backup would do.
    other = generation("acme", 7, master=master_key(99))
    with pytest.raises(CiphertextMoved):
        opened(SEALED, FieldCipher("acme", KnownKeys(KeySet("acme", 1, {7: other}, {}, other))))


@given(st.tuples(ROW_IDS, ROW_IDS).filter(lambda rows: not same(*rows)))
@BRIEF
def test_no_row_opens_the_ciphertext_of_another(rows):
    sealed = ACME.encrypt("customers", "email", rows[0], "x")
    with pytest.raises(CiphertextMoved):
        opened(sealed, row_id=rows[1])


TWO_GENERATIONS = FieldCipher("acme", KnownKeys(key_set("acme", {7: State.PREVIOUS, 9: State.CURRENT})))


def test_a_stale_writers_tag_on_an_older_ciphertext_is_refused():
    # A writer that was late once stored "version 2" beside, or over, what it had sealed under version 1, and the value
    # was lost. Here the key id is inside, and every byte of it is bound: no label can disagree with its content.
    relabelled = SEALED[:2] + (9).to_bytes(4, "big") + SEALED[6:]
    assert key_id(relabelled) == 9
    with pytest.raises(CiphertextMoved, match="header is damaged"):
        opened(relabelled, TWO_GENERATIONS)
    assert opened(SEALED, TWO_GENERATIONS) == "ada@example.net"


def test_the_kind_of_a_value_cannot_be_exchanged():
    number = ACME.encrypt("customers", "email", 41, 1234)
    with pytest.raises(CiphertextMoved):
        opened(bytes([1, 0x11]) + number[2:])


def test_parts_of_two_ciphertexts_of_one_place_do_not_mix():
    first, second = (ACME.encrypt("customers", "email", 41, value) for value in ("first value", "other value"))
    mixed = {first[:cut] + second[cut:] for cut in range(len(first))} - {first, second}
    assert len(mixed) > 70
    for ciphertext in mixed:
        with pytest.raises(CiphertextRefused):
            opened(ciphertext)


def test_an_older_ciphertext_of_the_same_place_is_accepted():
    # Not a promise but a limit, and the document says so: who writes the table can take a value back to an earlier one.
    older = ACME.encrypt("customers", "email", 41, "old@example.net")
    ACME.encrypt("customers", "email", 41, "new@example.net")
    assert opened(older) == "old@example.net"


@pytest.mark.parametrize(("state", "refusal"), [(State.RETIRED, KeyRetired), (State.DESTROYED, KeyDestroyed)])
def test_a_ciphertext_under_a_closed_key_says_in_which_way_it_is_closed(state, refusal):
    cipher = FieldCipher("acme", KnownKeys(key_set("acme", {7: state, 9: State.CURRENT})))
    with pytest.raises(refusal, match=f"key 7 of tenant 'acme', which (is|was) {state}"):
        opened(SEALED, cipher)


def test_a_body_made_by_a_key_holder_with_a_foreign_commitment_is_refused():
    # Who knows two keys can make a body that both open. The commitment leaves room for one.
    forged = bytearray(make_envelope(SPOT, 1, b"x"))
    forged[22:54] = secrets.token_bytes(32)
    with pytest.raises(CiphertextTampered):
        opened(bytes(forged))
