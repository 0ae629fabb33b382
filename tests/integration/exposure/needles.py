"""A secret as it would look where it must not be: in pieces, in every form that programs give to bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

#: Of a piece: nobody meets 16 such bytes by chance, and a secret that was cut, wrapped or half overwritten is found.
PIECE = 16
#: Of a long secret (a private exponent has 384 bytes) so many pieces are looked for.
_MOST_PIECES = 4


@dataclass(frozen=True)
class Secret:
    """Something that must be nowhere but where it is kept."""

    kind: str
    """As findings are counted: "master key", "plaintext" …"""
    name: str
    value: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def pieces(value: bytes) -> list[bytes]:
    """What is looked for of *value*: its beginning and its end, and what lies evenly between."""
    if len(value) < PIECE:
        raise ValueError(f"a secret of {len(value)} bytes would be found by chance; expected {PIECE}")
    last = len(value) - PIECE
    count = min(-(-len(value) // PIECE), _MOST_PIECES)
    starts = {round(number * last / (count - 1)) for number in range(count)} if count > 1 else {0}
    return [value[start : start + PIECE] for start in sorted(starts)]


def written(piece: bytes) -> Iterator[tuple[str, bytes]]:
    """(name of the form, how *piece* looks in it). A form inside a JSON string, or escaped by `COPY`, is one of its own."""
    yield "raw", piece
    yield "hex", piece.hex().encode()
    yield "HEX", piece.hex().upper().encode()
    yield "hex with colons", piece.hex(":").encode()
    yield "HEX with colons", piece.hex(":").upper().encode()
    yield "hex with spaces", piece.hex(" ").encode()
    yield from _in_base64(piece)
    yield "list of numbers", ", ".join(map(str, piece)).encode()
    yield "compact list of numbers", ",".join(map(str, piece)).encode()
    yield "percent-encoding", quote_from_bytes(piece, safe="").encode()
    yield "percent-encoding", "".join(f"%{byte:02X}" for byte in piece).encode()
    yield "octal escapes", "".join(f"\\{byte:03o}" for byte in piece).encode()
    for name, text in _as_text(piece):
        yield name, text
        yield f"{name} in JSON", _in_json(text)
        yield f"{name} in JSON in JSON", _in_json(_in_json(text))
    yield "UTF-16", piece.decode("latin-1").encode("utf-16-le")


def _in_base64(piece: bytes) -> Iterator[tuple[str, bytes]]:
    """As it looks behind any number of other bytes: what the neighbours take part in is left out."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + piece)
        begin, end = -(-before * 8 // 6), (before + PIECE) * 8 // 6
        yield "base64", encoded[begin:end]
        yield "base64url", encoded[begin:end].translate(bytes.maketrans(b"+/", b"-_"))


def _as_text(piece: bytes) -> Iterator[tuple[str, bytes]]:
    # Python chooses its quotes by what else is in the literal: both choices.
    yield "repr", repr(piece + b"'\"")[2:-4].encode()
    yield "repr of the letters", repr(piece.decode("latin-1") + "'\"")[1:-4].encode()
    if b'"' not in piece:
        yield "repr", repr(piece + b"'")[2:-2].encode()
        yield "repr of the letters", repr(piece.decode("latin-1") + "'")[1:-2].encode()
    yield "letters", piece.decode("latin-1").encode()
    # What stands beside the piece may be one letter with its first or its last byte.
    for begin, end in ((0, PIECE), (1, PIECE), (0, PIECE - 1), (1, PIECE - 1)):
        letters = piece[begin:end].decode("utf-8", "surrogateescape").encode("utf-8", "surrogatepass")
        if letters != piece[begin:end]:
            yield "letters and surrogates", letters


def _in_json(text: bytes) -> bytes:
    return json.dumps(text.decode("utf-8", "surrogatepass"))[1:-1].encode()


def numbers(value: int) -> Iterator[tuple[str, bytes]]:
    """A private number as it is printed: in decimal, whose digits are not those of any of its bytes."""
    digits = str(value).encode()
    for start in range(0, max(len(digits) - 32, 1), max(len(digits) // _MOST_PIECES, 1)):
        yield "decimal number", digits[start : start + 32]
