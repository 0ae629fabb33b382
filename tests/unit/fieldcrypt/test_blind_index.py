from __future__ import annotations

import datetime as dt
import decimal
import hmac
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.errors import NoWritingKey, ValueNotSupported, ValueTooLarge
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.values import MOST_BYTES, canonical
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set, master_key, one_current
from tests.unit.fieldcrypt.reference import Spot, blind_index
from tests.unit.fieldcrypt.strategies import BRIEF, EXHAUSTIVE, INDEXABLE, NUMBERS, same

ACME = FieldCipher("acme", one_current("acme", 7))
SPOT = Spot(master_key(7), 7, "acme", "customers", "email")


@given(INDEXABLE)
@BRIEF
def test_it_is_what_the_document_says(value):
    index = ACME.blind_index("customers", "email", value)
    assert index == blind_index(SPOT, canonical(value)[0], canonical(value)[1:])
    assert len(index) == 20
    assert index[:4] == bytes([0, 0, 0, 7])


@given(INDEXABLE)
@BRIEF
def test_what_a_row_stores_is_what_a_search_compares(value):
    assert ACME.blind_indexes("customers", "email", value) == [ACME.blind_index("customers", "email", value)]


def equal(left: object, right: object) -> bool:
    """Equal for a search: as numbers where both are Decimal, and never across types."""
    return type(left) is type(right) and left == right


@given(INDEXABLE, INDEXABLE)
@EXHAUSTIVE
def test_equal_values_share_an_index_and_only_these(left, right):
    assert (canonical(left) == canonical(right)) is equal(left, right)


@given(NUMBERS, st.integers(0, 20))
@EXHAUSTIVE
def test_a_number_written_with_more_zeros_is_the_same_number(number, zeros):
    sign, digits, exponent = number.as_tuple()
    try:
        longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    except decimal.InvalidOperation:
        return  # below the smallest exponent
    assert canonical(longer) == canonical(number)


@given(NUMBERS)
@EXHAUSTIVE
def test_the_number_that_is_indexed_is_the_number_that_was_given(number):
    indexed = Decimal(canonical(number)[1:].decode())
    assert indexed.compare_total_mag(number) == 0 or indexed == number
    assert same(Decimal(canonical(indexed)[1:].decode()), indexed)


def test_decimals_that_equal_share_an_index():
    for alike in (
        ["1", "1.0", "1.00", "100E-2", "0.1E+1"],
        ["0", "-0", "0.000", "0E+999999999", "-0E-999999999"],
        ["-1E+999999", "-1000E+999996"],
        ["123456789012345678901234567890", "123456789012345678901234567890.0"],
    ):
        assert len({ACME.blind_index("t", "f", Decimal(text)) for text in alike}) == 1


def test_an_index_does_not_depend_on_the_decimal_context_of_the_moment():
    numbers = [Decimal("1E+5"), Decimal("1234567890.123456789"), Decimal("10E+999999999999999998")]
    expected = [canonical(number) for number in numbers]
    with decimal.localcontext(decimal.Context(prec=1, Emin=0, Emax=0, capitals=0)):
        assert [canonical(number) for number in numbers] == expected


def test_a_huge_exponent_is_never_written_out():
    assert canonical(Decimal("1E+999999")) == b"\x031E+999999"
    assert canonical(Decimal("-1000E-999999999999999999")) == b"\x03-1E-999999999999999996"


def test_values_of_different_kinds_never_share_an_index():
    alike = ["1", b"1", 1, Decimal(1), "2026-01-01", dt.date(2026, 1, 1), b"2026-01-01", "\x01", b"\x01", "", b"", 0]
    assert len({ACME.blind_index("t", "f", value) for value in alike}) == len(alike)


def test_text_is_compared_as_it_is():
    texts = ["Ada", "ada", "ada ", "\u00e9", "e\u0301", "\ud83e\udd89", "\U0001f989"]
    assert len({ACME.blind_index("t", "f", text) for text in texts}) == len(texts)


def test_the_same_value_elsewhere_has_another_index():
    globex = FieldCipher("globex", one_current("globex", 7))
    places = [("customers", "email"), ("customers", "mail"), ("orders", "email"), ("customersemail", ""), ("a", "b")]
    indexes = [cipher.blind_index(*place, "x")[4:] for cipher in (ACME, globex) for place in places]
    assert len(set(indexes)) == 2 * len(places)


def test_an_index_tells_nothing_of_the_field_key_that_encrypts():
    acme = KnownKeys(key_set("acme", {7: State.CURRENT})).of("acme").writing
    under_enc = hmac.digest(Spot(master_key(7), 7, "acme", "t", "f").key(b"enc"), b"x", "sha256")
    assert acme.field_key("blind", "t", "f").hmac(b"x") != under_enc


STATES = {3: State.DESTROYED, 5: State.RETIRED, 7: State.PREVIOUS, 9: State.CURRENT, 11: State.INCOMING}


def test_a_search_asks_for_every_generation_that_can_be_read_newest_first():
    cipher = FieldCipher("acme", KnownKeys(key_set("acme", STATES)))
    expected = [blind_index(SPOT._replace(master=master_key(it), key_id=it), 1, b"x") for it in (11, 9, 7)]
    assert cipher.blind_indexes("customers", "email", "x") == expected
    assert cipher.blind_index("customers", "email", "x") == expected[1]


def test_a_tenant_without_a_current_generation_can_be_searched_but_not_indexed():
    cipher = FieldCipher("acme", KnownKeys(key_set("acme", {7: State.PREVIOUS})))
    assert cipher.blind_indexes("t", "f", "x") == ACME.blind_indexes("t", "f", "x")
    with pytest.raises(NoWritingKey):
        cipher.blind_index("t", "f", "x")


@pytest.mark.parametrize("value", [{"a": 1}, [1], True, 1.5], ids=str)
def test_json_has_no_equality_to_search_by(value):
    with pytest.raises(ValueNotSupported, match=f"a blind index over a {type(value).__name__}, expected"):
        ACME.blind_index("t", "f", value)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-NaN123", "Infinity", "-Infinity"])
def test_what_is_no_finite_number_equals_nothing(text):
    with pytest.raises(ValueNotSupported, match="no finite number"):
        ACME.blind_index("t", "f", Decimal(text))


def test_a_value_too_large_for_a_field_is_too_large_for_an_index():
    with pytest.raises(ValueTooLarge):
        ACME.blind_index("t", "f", bytes(MOST_BYTES + 1))


def test_none_has_no_index_and_cannot_be_searched_for():
    assert ACME.blind_index("t", "f", None) is None
    with pytest.raises(ValueNotSupported, match="NoneType"):
        ACME.blind_indexes("t", "f", None)
