"""SMILE is read as its specification says, and bytes that break it end with their offset, whatever they are."""

import struct
from contextlib import suppress
from decimal import Context, Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.repository.smile import MOST_DEPTH, MOST_SHARED, NotSmile, decode
from tests.unit.repository.sample import as_smile, document_of, paths, sample, vint

HEAD = b":)\n"
EXACT = Context(prec=1_000)


def plain(body):
    return HEAD + b"\x04" + body


def shared(body):
    return HEAD + b"\x03" + body


def seven(data):
    """Eight bytes for seven; what is left of the last group lies low in its last byte."""
    encoded = b""
    for start in range(0, len(data), 7):
        group = data[start : start + 7]
        bits = int.from_bytes(group, "big")
        encoded += bytes(bits >> len(group) + 7 * n & 0x7F for n in reversed(range(len(group))))
        encoded += bytes([bits & (1 << len(group)) - 1])
    return vint(len(data)) + encoded


VALUES = [
    ("20", ""),
    ("21", None),
    ("22", False),
    ("23", True),
    ("c0", 0),
    ("df", -16),
    ("de", 15),
    ("24 01 80", 32),
    ("24 1f7f7f7fbf", -(2**31)),
    ("25 037f7f7f7f7f7f7f7fbe", 2**63 - 1),
    ("28 03 7c 00 00 00", 1.0),
    ("28 7b 7c 00 00 00", -1.0),  # Jackson fills the first byte with the sign
    ("29 00 3f 78 00 00 00 00 00 00 00", 1.0),
    ("40 61", "a"),
    ("7f" + "61" * 64, "a" * 64),
    ("80 c3a9", "é"),
    ("bf" + "c3a9" * 31 + "e282ac", "é" * 31 + "€"),
    ("e0 6162 fc", "ab"),
    ("e4 c3a9 fc", "é"),
    ("fd 83 ff00fe", b"\xff\x00\xfe"),
    ("f8 f9", []),
    ("fa fb", {}),
]


@pytest.mark.parametrize(("written", "expected"), VALUES)
def test_each_kind_of_value_is_read(written, expected):
    found = decode(plain(bytes.fromhex(written)))
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 6, bytes(range(7)), bytes(range(250, 256)), b"12345678" * 9])
def test_binary_in_seven_bits_is_read_whatever_its_last_group(data):
    assert decode(plain(b"\xe8" + seven(data))) == data


@pytest.mark.parametrize("number", [0, -1, 2**64, -(2**700)])
def test_numbers_of_any_size_are_exact(number):
    encoded = seven(number.to_bytes(100, "big", signed=True))
    assert decode(plain(b"\x26" + encoded)) == number
    assert decode(plain(b"\x2a" + vint(14 << 1) + encoded)) == Decimal(number).scaleb(-14, EXACT)


def test_a_decimal_with_an_absurd_scale_is_read_without_being_written_out():
    for scale in (2**31 - 1, -(2**31)):
        number = decode(plain(b"\x2a" + vint((scale << 1 ^ scale >> 31) & 0xFFFFFFFF) + seven(b"\x05")))
        assert number.as_tuple() == (0, (5,), -scale)


def test_names_of_each_length_are_read():
    names = ["", "a", "a" * 64, "é", "é" * 28 + "a", "a" * 65, "é" * 40]
    written = [b"\x20", b"\x80a", b"\xbf" + b"a" * 64, b"\xc0\xc3\xa9", b"\xf7" + names[4].encode()]
    written += [b"\x34" + name.encode() + b"\xfc" for name in names[5:]]
    assert decode(plain(b"\xfa" + b"".join(name + b"\xc2" for name in written) + b"\xfb")) == dict.fromkeys(names, 1)


def test_names_short_and_long_are_referred_to_in_the_order_in_which_they_came():
    first = b"\xfa\x80a\x21\x34" + b"b" * 70 + b"\xfc\x21\xc0\xc3\xa9\x21\x20\x21\xfb"
    second = b"\xfa\x40\x21\x41\x21\x30\x02\x21\xfb"  # the empty name counts for none; 30 02 is the far way to say 42
    one, two = decode(shared(b"\xf8" + first + second + b"\xf9"))
    assert list(two) == list(one)[:3] == ["a", "b" * 70, "é"]


def test_short_texts_are_referred_to_and_long_and_empty_ones_are_not():
    body = b"\xf8\x40a\x20\xe0b\xfc\x80\xc3\xa9\x01\x02\xec\x01\xf9"
    assert decode(shared(body)) == ["a", "", "b", "é", "a", "é", "é"]


def test_the_list_of_names_starts_anew_when_it_is_full():
    names = [f"n{n:04d}" for n in range(MOST_SHARED + 2)]
    written = b"".join(b"\x84" + name.encode() + b"\x21" for name in names)
    again = b"\xfa\x40\x21\x41\x21\xfb"
    assert list(decode(shared(b"\xf8\xfa" + written + b"\xfb" + again + b"\xf9"))[1]) == names[-2:]


def test_indices_that_writers_avoid_are_counted_all_the_same():
    texts = b"".join(b"\x43" + f"{n:04d}".encode() for n in range(258))
    assert decode(shared(b"\xf8" + texts + b"\xed\x00\xf9"))[-1] == "0256"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the end at byte 4"),
        (b"\x42a", "1 bytes in place of 3 at byte 5"),
        (b"\xe0abc", "a text without its end at byte 5"),
        (b"\x40\xe9", "a text that is not ascii"),
        (b"\x80\xc3\x28", "a text that is not utf-8"),
        (b"\xe4\xed\xa0\x80\xfc", "a text that is not utf-8"),
        (b"\x00", "a reference to text -1"),
        (b"\x01", "a reference to text 0"),
        (b"\xfa\x40\x21\xfb", "a reference to text 0"),
        (b"\xfa\x80a\x21\x80a\x21\xfb", "the key 'a' is there twice"),
        (b"\xfa\x21\x21\xfb", "0x21 begins no name"),
        (b"\xfa\xf8\x21\xfb", "0xf8 begins no name"),
        (b"\xf8\xfb", "0xfb begins no value"),
        (b"\xf9", "0xf9 begins no value"),
        (b"\x2b", "0x2b begins no value"),
        (b"\xfe", "0xfe begins no value"),
        (b"\x24\x7f\x7f\x7f\x7f\x7f\x7f\x7f", "an integer of more than 32 bits"),
        (b"\x24\x20\x00\x00\x00\x80", "an integer of more than 32 bits"),
        (b"\x24\xc0", "an integer of more than 32 bits"),
        (b"\xfd\x0f\x7f\x7f\x7f\xbf", "0 bytes in place of 2,147,483,647"),
        (b"\xe8\x0f\x7f\x7f\x7f\xbf", "0 bytes in place of"),
        (b"\xe8\x81\x00\x02", "binary with bits beyond its size"),
        (b"\x28\x80\x00\x00\x00\x00", "an eighth bit"),
        (b"\x21\x21", "something follows the end at byte 5"),
        (b"\x21\xff\x21", "something follows the end"),
    ],
)
def test_what_breaks_the_specification_is_refused_with_its_offset(body, why):
    with pytest.raises(NotSmile, match=why):
        decode(plain(body))


@pytest.mark.parametrize("blob", [b"", b":)", b"{}\n\x00", HEAD, HEAD + b"\x10\x21", HEAD + b"\x08\x21"])
def test_another_header_is_refused(blob):
    with pytest.raises(NotSmile):
        decode(blob)


def test_raw_binary_is_refused_where_the_header_excludes_it():
    with pytest.raises(NotSmile, match="0xfd begins no value"):
        decode(HEAD + b"\x00\xfd\x81\x00")


def test_a_document_may_be_as_deep_as_jackson_reads_and_no_deeper_and_may_have_an_end_marker():
    found = decode(plain(b"\xf8" * MOST_DEPTH + b"\xf9" * MOST_DEPTH + b"\xff"))
    for _ in range(MOST_DEPTH - 1):
        (found,) = found
    assert found == []
    with pytest.raises(NotSmile, match="nested deeper than 1,000 at byte 1,005"):
        decode(plain(b"\xf8" * 100_000))


def real_documents():
    blobs = sample()
    found = paths(blobs, begins="snap") + paths(blobs, begins="meta")
    return [as_smile(document_of(path, blobs[path])) for path in found]


@pytest.mark.parametrize("document", real_documents(), ids=len)
def test_a_real_document_that_is_cut_off_anywhere_is_refused(document):
    assert decode(document)
    for end in range(len(document)):
        with pytest.raises(NotSmile):
            decode(document[:end])


def test_damaged_documents_raise_nothing_else():
    random, documents = Random(7), real_documents()
    for _ in range(3_000):
        damaged = bytearray(random.choice(documents))
        for _ in range(random.randint(1, 4)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        survives(bytes(damaged))


@given(st.integers(0, 7), st.binary(max_size=200))
def test_any_bytes_raise_nothing_else(flags, body):
    survives(HEAD + bytes([flags]) + body)


def survives(blob):
    with suppress(NotSmile):
        decode(blob)


def test_a_float_of_each_width_is_exact():
    for number in (0.1, -5e-324, float("inf")):
        (bits,) = struct.unpack(">Q", struct.pack(">d", number))
        assert decode(plain(b"\x29" + bytes(bits >> 7 * n & 0x7F for n in reversed(range(10))))) == number
