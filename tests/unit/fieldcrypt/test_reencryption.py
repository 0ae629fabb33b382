"""Ciphertexts moved to another generation: the same bytes within, nothing decoded that need not be."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    CiphertextMoved,
    CiphertextTampered,
    CiphertextTruncated,
    KeyDestroyed,
    KeyRetired,
    NoWritingKey,
    ValueNotSupported,
)
from steward.fieldcrypt.framing import framed_row
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.reencryption import FieldMover
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set
from tests.unit.fieldcrypt.strategies import BRIEF, VALUES

BEFORE = key_set("acme", {7: State.CURRENT, 8: State.INCOMING})
AFTER = key_set("acme", {7: State.PREVIOUS, 8: State.CURRENT})
ROW = framed_row(42)
EACH_KIND = [
    "ada",
    "\u0000é\U0001f600",
    b"",
    bytes(range(256)),
    0,
    -(2**80),
    Decimal("1.10"),
    date(2026, 2, 28),
    True,
    1.5,
    {"a": [1]},
]


def cipher(keys):
    return FieldCipher("acme", KnownKeys(keys))


def mover(keys=AFTER):
    return FieldMover(keys, "t", "f")


def moved(ciphertext):
    moving = mover()
    return moving.seal(ROW, moving.open(ROW, ciphertext))


@pytest.mark.parametrize("value", EACH_KIND, ids=repr)
def test_a_moved_value_is_the_same_value_of_the_same_type(value):
    written = cipher(BEFORE).encrypt("t", "f", 42, value)
    after = moved(written)
    read = cipher(AFTER).decrypt("t", "f", 42, after)
    assert (read, type(read)) == (value, type(cipher(BEFORE).decrypt("t", "f", 42, written)))
    assert (int.from_bytes(after[2:6], "big"), len(after), after[1]) == (8, len(written), written[1])


@BRIEF
@given(VALUES)
def test_whatever_could_be_encrypted_is_moved_to_the_byte(value):
    written = cipher(BEFORE).encrypt("t", "f", 42, value)
    assert mover().open(ROW, moved(written))[1:] == mover().open(ROW, written)[1:]


def test_two_moves_of_a_value_have_nothing_in_common():
    written = cipher(BEFORE).encrypt("t", "f", 42, "ada")
    first, second = moved(written), moved(written)
    assert first[:6] == second[:6]
    assert first[6:22] != second[6:22]
    assert first[22:] != second[22:]


@pytest.mark.parametrize("value", ["ada", "", b"\0", 7, date(2026, 2, 28), Decimal("1.10")], ids=repr)
def test_the_index_is_that_of_the_value(value):
    moving = mover()
    opened = moving.open(ROW, cipher(BEFORE).encrypt("t", "f", 42, value))
    assert moving.index(opened) == cipher(AFTER).blind_index("t", "f", value)


def test_text_is_indexed_without_being_decoded(monkeypatch):
    moving = mover()
    opened = moving.open(ROW, cipher(BEFORE).encrypt("t", "f", 42, "ada"))
    monkeypatch.setattr("steward.fieldcrypt.reencryption.decode", None)
    assert moving.index(opened) == cipher(AFTER).blind_index("t", "f", "ada")


def test_a_value_that_has_no_index_says_so():
    written = cipher(BEFORE).encrypt("t", "f", 42, json.loads('{"a": 1}'))
    moving = mover()
    with pytest.raises(ValueNotSupported):
        moving.index(moving.open(ROW, written))


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda written: written[:-1] + bytes([written[-1] ^ 1]), CiphertextTampered),
        (lambda written: written[:69], CiphertextTruncated),
        (lambda written: written[:2] + (8).to_bytes(4, "big") + written[6:], CiphertextMoved),
        (lambda written: written[:2] + (9).to_bytes(4, "big") + written[6:], CiphertextForeign),
        (lambda written: written[:6] + bytes(16) + written[22:], CiphertextMoved),
    ],
)
def test_what_is_damaged_is_not_moved(damage, error):
    written = cipher(BEFORE).encrypt("t", "f", 42, "ada")
    with pytest.raises(error):
        mover().open(ROW, damage(written))


def test_another_row_field_or_table_is_another_place():
    written = cipher(BEFORE).encrypt("t", "f", 42, "ada")
    for moving, row in (
        (mover(), framed_row(43)),
        (FieldMover(AFTER, "t", "g"), ROW),
        (FieldMover(AFTER, "u", "f"), ROW),
    ):
        with pytest.raises(CiphertextMoved):
            moving.open(row, written)


@pytest.mark.parametrize(("state", "error"), [(State.RETIRED, KeyRetired), (State.DESTROYED, KeyDestroyed)])
def test_a_closed_key_opens_nothing(state, error):
    written = cipher(BEFORE).encrypt("t", "f", 42, "ada")
    with pytest.raises(error):
        mover(key_set("acme", {7: state, 8: State.CURRENT})).open(ROW, written)


def test_without_a_current_key_nothing_is_moved():
    with pytest.raises(NoWritingKey):
        mover(key_set("acme", {7: State.PREVIOUS}))
