from __future__ import annotations

import enum
import struct
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.fieldcrypt.errors import ValueNotSupported
from steward.fieldcrypt.framing import framed, framed_row
from tests.unit.fieldcrypt.strategies import EXHAUSTIVE, ROW_IDS, same


def unframed(frames: bytes) -> list[bytes]:
    parts = []
    while frames:
        [length] = struct.unpack(">I", frames[:4])
        parts.append(frames[4 : 4 + length])
        frames = frames[4 + length :]
    return parts


def unframed_row(frame: bytes) -> Any:
    [part] = unframed(frame)
    kind, body = part[:1], part[1:]
    if kind == b"t":
        return tuple(unframed_row(framed(inner)) for inner in unframed(body))
    readers = {b"i": int, b"s": lambda body: body.decode("utf-8", "surrogatepass"), b"b": bytes}
    return UUID(bytes=body) if kind == b"u" else readers[kind](body)


@given(st.lists(st.binary()))
@EXHAUSTIVE
def test_a_frame_can_be_read_in_one_way_only(parts):
    assert unframed(framed(*parts)) == parts


@given(ROW_IDS)
@EXHAUSTIVE
def test_a_framed_row_id_gives_back_the_row_id_and_its_type(row_id):
    assert same(unframed_row(framed_row(row_id)), row_id)


UUID_7 = UUID(int=7)


def test_row_ids_that_look_alike_differ():
    alike: list[Any] = [
        7,
        "7",
        b"7",
        "i7",
        b"i7",
        -7,
        UUID_7,
        str(UUID_7),
        UUID_7.hex,
        UUID_7.bytes,
        UUID_7.int + 1,
        (7,),
        ("7",),
        (7, 7),
        (77,),
        ("7", "7"),
        ("77",),
        ("", "77"),
        ("77", ""),
        "",
        b"",
        ("",),
        (b"",),
    ]
    assert len({framed_row(row_id) for row_id in alike}) == len(alike)


def test_a_drivers_uuid_is_the_same_row_as_pythons():
    class DriverUUID(UUID):
        pass

    assert framed_row(DriverUUID(int=7)) == framed_row(UUID_7)
    assert framed_row((DriverUUID(int=7), 1)) == framed_row((UUID_7, 1))


def test_a_subclass_names_the_row_of_its_base_whatever_it_overrides():
    class Shouting(str):
        __slots__ = ()

        def encode(self, *_: str) -> bytes:
            return b"LOUD"

    class Colour(enum.StrEnum):
        RED = "red"

    class Number(enum.IntEnum):
        SEVEN = 7

    assert framed_row(Shouting("quiet")) == framed_row("quiet")
    assert framed_row(Colour.RED) == framed_row("red")
    assert framed_row(Number.SEVEN) == framed_row(7)


def nested(levels: int) -> Any:
    row_id: Any = 1
    for _ in range(levels):
        row_id = (row_id,)
    return row_id


@pytest.mark.parametrize(
    ("row_id", "seen"),
    [
        (None, "NoneType"),
        (True, "bool"),
        (1.0, "float"),
        ([1], "list"),
        (bytearray(b"1"), "bytearray"),
        ((1, None), "NoneType"),
        ((1, True), "bool"),
        ((), "tuple without parts"),
        (nested(2), "tuple inside a tuple"),
        (nested(100_000), "tuple inside a tuple"),
        (10**5000, "int beyond Python's limit of digits"),
    ],
    ids=lambda row_id: type(row_id).__name__,
)
def test_what_is_no_row_id_is_refused_by_its_type(row_id, seen):
    with pytest.raises(ValueNotSupported) as refused:
        framed_row(row_id)
    assert refused.value.message == f"a row id of type {seen}, expected int, str, bytes, UUID or a tuple of these"
    assert "primary key" in refused.value.hint
