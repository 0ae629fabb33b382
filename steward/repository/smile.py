"""Read SMILE, the binary JSON in which Elasticsearch writes a repository's metadata.

Written from the format's specification (github.com/FasterXML/smile-format-specification) and held against Jackson, with
which Elasticsearch writes it. Whatever the bytes are, what breaks the specification is refused with its offset: a
decoder that guesses would find a damaged blob sound.
"""

from __future__ import annotations

import struct
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

HEADER = b":)\n"
#: Jackson's own bound for readers.
MOST_DEPTH = 1_000
#: How many names, or short texts, can be referred to: the next one starts the list anew.
MOST_SHARED = 1_024

_SHARED_NAMES, _SHARED_TEXTS, _RAW_BINARY = 1, 2, 4
_END_OF_TEXT, _END_OF_CONTENT = b"\xfc", b"\xff"
_LITERALS: dict[int, Any] = {0x20: "", 0x21: None, 0x22: False, 0x23: True}
# Where the tokens begin that hold a value, its size or its index themselves.
_ASCII, _UTF_8, _SMALL_INT, _LONG_VALUE = 0x40, 0x80, 0xC0, 0xE0
_EMPTY_NAME, _FAR_NAME, _LONG_NAME, _NEAR_NAME = 0x20, 0x30, 0x34, 0x40
_ASCII_NAME, _UTF_8_NAME, _NO_NAME = 0x80, 0xC0, 0xF8
_ARRAY_END, _OBJECT_END = 0xF9, 0xFB
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class NotSmile(ValueError):
    """The bytes are no SMILE document: what was seen, and at which offset."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(f"{why} at byte {at:,} of the document")


def decode(data: bytes) -> Any:
    """The one document in *data*, as `json.loads` would give it; binary is bytes, a BigDecimal a Decimal.

    Raises NotSmile, and nothing else, for bytes that are truncated or damaged, nested deeper than MOST_DEPTH, or that
    name a key twice in one object. The document takes at most about 50 times the memory of *data*.
    """
    reader = _Reader(data)
    found = reader.document()
    if data[reader.at :] not in {b"", _END_OF_CONTENT}:
        raise NotSmile(reader.at, "something follows the end")
    return found


class _Reader:
    """A position in the bytes, and what was read that later bytes refer to."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        if self._take(len(HEADER)) != HEADER:
            raise NotSmile(0, "no SMILE header")
        flags = self._byte()
        if flags > _SHARED_NAMES | _SHARED_TEXTS | _RAW_BINARY:
            raise NotSmile(3, f"unknown version or flags {flags:#04x}")
        self._names: list[str] | None = [] if flags & _SHARED_NAMES else None
        self._texts: list[str] | None = [] if flags & _SHARED_TEXTS else None
        self._raw = bool(flags & _RAW_BINARY)

    def document(self) -> Any:
        """One value and all that is in it, without recursion: damaged bytes may open arrays without end."""
        root: list[Any] = []
        outer: list[Any] = []
        within: Any = root
        while not root or within is not root:
            token = self._byte()
            if token == (_OBJECT_END if isinstance(within, dict) else _ARRAY_END) and outer:
                within = outer.pop()
                continue
            value = self._member(within, token) if isinstance(within, dict) else self._element(within, token)
            if isinstance(value, list | dict):
                outer.append(within)
                within = value
                if len(outer) > MOST_DEPTH:
                    raise self._wrong(f"nested deeper than {MOST_DEPTH:,}")
        return root[0]

    def _member(self, within: dict[str, Any], token: int) -> Any:
        name = self._name(token)
        if name in within:
            raise self._wrong(f"the key {name[:80]!r} is there twice")
        within[name] = value = self._value(self._byte())
        return value

    def _element(self, within: list[Any], token: int) -> Any:
        value = self._value(token)
        within.append(value)
        return value

    def _name(self, token: int) -> str:
        if token >= _ASCII_NAME:
            if token < _UTF_8_NAME:
                return self._text(token - _ASCII_NAME + 1, "ascii", self._names)
            if token < _NO_NAME:
                return self._text(token - _UTF_8_NAME + 2, "utf-8", self._names)
        elif token >= _NEAR_NAME:
            return self._seen(self._names, token - _NEAR_NAME)
        elif token == _LONG_NAME:
            return self._remembered(self._long_text("utf-8"), self._names)
        elif _FAR_NAME <= token < _LONG_NAME:
            return self._seen(self._names, (token - _FAR_NAME) << 8 | self._byte())
        elif token == _EMPTY_NAME:
            return ""
        raise self._wrong(f"{token:#04x} begins no name")

    def _value(self, token: int) -> Any:
        if token >= _SMALL_INT:
            return _signed(token - _SMALL_INT) if token < _LONG_VALUE else self._long_value(token)
        if token >= _UTF_8:
            return self._text(token - _UTF_8 + 2, "utf-8", self._texts)
        if token >= _ASCII:
            return self._text(token - _ASCII + 1, "ascii", self._texts)
        if token in _LITERALS:
            return _LITERALS[token]
        if token < min(_LITERALS):
            return self._seen(self._texts, token - 1)
        return self._number(token)

    def _number(self, token: int) -> int | float | Decimal:
        match token:
            case 0x24:  # 32-bit integer
                return _signed(self._unsigned(32))
            case 0x25:  # 64-bit integer
                return _signed(self._unsigned(64))
            case 0x26:  # BigInteger
                return self._big_integer()
            case 0x28:  # float
                return self._floating(5, ">I", ">f")
            case 0x29:  # double
                return self._floating(10, ">Q", ">d")
            case 0x2A:  # BigDecimal
                scale = _signed(self._unsigned(32))
                return Decimal(self._big_integer()).scaleb(-scale, _EXACT)
            case _:
                raise self._wrong(f"{token:#04x} begins no value")

    def _long_value(self, token: int) -> Any:
        match token:
            case 0xE0 | 0xE4:
                return self._long_text("utf-8" if token & 4 else "ascii")
            case 0xE8:  # binary in seven bits
                return self._safe_binary()
            case 0xEC | 0xED | 0xEE | 0xEF:  # far reference
                return self._seen(self._texts, (token - 0xEC) << 8 | self._byte())
            case 0xF8:  # array
                return list[Any]()
            case 0xFA:  # object
                return dict[str, Any]()
            case 0xFD if self._raw:  # binary as it is
                return self._take(self._unsigned(31))
            case _:
                raise self._wrong(f"{token:#04x} begins no value")

    def _text(self, size: int, encoding: str, shared: list[str] | None) -> str:
        """A text of *size* bytes, remembered in *shared* for those that refer to it."""
        return self._remembered(self._decoded(self._take(size), encoding), shared)

    def _remembered(self, text: str, shared: list[str] | None) -> str:
        if shared is not None:
            if len(shared) == MOST_SHARED:
                shared.clear()
            shared.append(text)
        return text

    def _long_text(self, encoding: str) -> str:
        end = self._data.find(_END_OF_TEXT, self.at)
        if end < 0:
            raise self._wrong("a text without its end")
        text = self._decoded(self._take(end - self.at), encoding)
        self.at += 1
        return text

    def _decoded(self, text: bytes, encoding: str) -> str:
        try:
            return text.decode(encoding)
        except UnicodeDecodeError as error:
            raise self._wrong(f"a text that is not {encoding}") from error

    def _seen(self, shared: list[str] | None, index: int) -> str:
        """The text that a reference means. Writers skip indices that end in 0xFE or 0xFF, and count them all the same."""
        if shared is None or not 0 <= index < len(shared):
            raise self._wrong(f"a reference to text {index}, which was not there")
        return shared[index]

    def _unsigned(self, bits: int) -> int:
        """Seven bits a byte, most significant first; the last byte is marked and holds six."""
        number = 0
        while (byte := self._byte()) < 0x80:  # noqa: PLR2004  the mark
            number = number << 7 | byte
            if number >> bits:
                break
        number = number << 6 | byte & 0x3F
        if number >> bits or byte & 0x40:
            raise self._wrong(f"an integer of more than {bits} bits")
        return number

    def _floating(self, size: int, whole: str, floating: str) -> float:
        """IEEE bits in *size* bytes of seven. Jackson fills what is left of the first with the sign."""
        number = 0
        for byte in self._seven_bits(size):
            number = number << 7 | byte
        width = struct.calcsize(whole)
        return struct.unpack(floating, struct.pack(whole, number & (1 << 8 * width) - 1))[0]

    def _big_integer(self) -> int:
        return int.from_bytes(self._safe_binary(), "big", signed=True)

    def _safe_binary(self) -> bytes:
        """Eight bytes for seven, none above 0x7F; of the last group the last byte holds the bits that are left."""
        size = self._unsigned(31)
        encoded = self._seven_bits((8 * size + 6) // 7)
        return b"".join(self._group(encoded[start : start + 8]) for start in range(0, len(encoded), 8))

    def _group(self, encoded: bytes) -> bytes:
        number, size = 0, len(encoded) - 1
        for byte in encoded[:-1]:
            number = number << 7 | byte
        if encoded[-1] >> size:
            raise self._wrong("binary with bits beyond its size")
        return (number << size | encoded[-1]).to_bytes(size, "big")

    def _seven_bits(self, size: int) -> bytes:
        taken = self._take(size)
        if not taken.isascii():
            raise self._wrong("an eighth bit where seven are used")
        return taken

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise self._wrong("the end")
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise self._wrong(f"{len(self._data) - self.at} bytes in place of {size:,}")
        self.at += size
        return self._data[self.at - size : self.at]

    def _wrong(self, why: str) -> NotSmile:
        return NotSmile(self.at, why)


def _signed(number: int) -> int:
    """Zigzag: 0, -1, 1, -2 … are written as 0, 1, 2, 3 …"""
    return number >> 1 ^ -(number & 1)
