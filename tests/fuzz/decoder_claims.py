"""What is claimed of the decoder for whatever bytes it is given.

The first byte of an input chooses: even, the rest is a ciphertext, given to the place of one golden; odd, the rest is
the plaintext of an authentic ciphertext, as a program with the keys and without the rules would write it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from steward.fieldcrypt import envelope, key_id
from steward.fieldcrypt.errors import FieldCryptError
from steward.fieldcrypt.framing import framed_row
from steward.fieldcrypt.values import KINDS, encode
from tests.golden.fieldcrypt.cases import FILES, Golden, cases

_SHORTEST_QUOTE = 6
"""Shorter runs of a plaintext occur in any sentence."""


class Broken(AssertionError):
    """A claim does not hold."""


@cache
def goldens() -> list[Golden]:
    return [golden for path in FILES for golden in cases(path)]


@cache
def _made() -> set[bytes]:
    return {golden.ciphertext for golden in goldens()}


def check(data: bytes) -> None:
    """Raises, whatever it is, where a claim does not hold for *data*."""
    if len(data) < 2:
        return
    golden = goldens()[data[1] % len(goldens())]
    if data[0] % 2:
        _check_content(golden, data[1] % KINDS, data[2:])
    else:
        _check_ciphertext(golden, data[2:])


def _check_ciphertext(golden: Golden, ciphertext: bytes) -> None:
    refused(lambda: key_id(ciphertext))
    opened = refused(lambda: golden.cipher().decrypt(*golden.place, ciphertext))
    if not isinstance(opened, FieldCryptError) and ciphertext not in _made():
        raise Broken("a ciphertext that nobody made was opened")


def _check_content(golden: Golden, kind: int, plaintext: bytes) -> None:
    keys = golden.cipher()._keys.of(golden.tenant)
    key = keys.writing.field_key("enc", golden.table, golden.field)
    ciphertext = envelope.seal(key, framed_row(golden.row_id), kind, plaintext)
    opened = refused(lambda: golden.cipher().decrypt(*golden.place, ciphertext))
    if not isinstance(opened, FieldCryptError):
        refused(lambda: encode(opened))
        return
    quoted = plaintext.decode("latin-1")
    told = f"{opened!r} {opened} {opened.__dict__}"
    if opened.__context__ is not None or (len(quoted) >= _SHORTEST_QUOTE and quoted in told):
        raise Broken("a refusal holds the plaintext")


def refused(call: Callable[[], Any]) -> Any:
    """What *call* returns, or the refusal it raises; anything else passes through, as a finding."""
    try:
        return call()
    except FieldCryptError as error:
        return error


def seeds() -> Iterator[bytes]:
    """Every golden, as a ciphertext and as the plaintext inside."""
    for number, golden in enumerate(goldens()):
        kind, plaintext = encode(golden.value)
        yield bytes([0, number]) + golden.ciphertext
        yield bytes([1, kind]) + plaintext


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """*count* damaged seeds, the same for the same *seed*."""
    chance, grown = random.Random(seed), list(seeds())
    for _ in range(count):
        data = bytearray(chance.choice(grown))
        for _ in range(chance.randint(1, 4)):
            chance.choice(_DAMAGES)(chance, data)
        yield bytes(data)


def _flip(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(chance: random.Random, data: bytearray) -> None:
    start, length = chance.randrange(len(data)), chance.randint(1, 8)
    data[start : start + length] = chance.randbytes(length)


def _cut(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(2, len(data) + 1)
    del data[start : start + chance.choice([1, 2, 16, len(data)])]


def _grow(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(2, len(data) + 1)
    data[start:start] = chance.randbytes(chance.choice([1, 2, 16, 100]))


def _repeat(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(2, len(data) + 1)
    data[start:start] = data[start : start + 8] * chance.choice([1, 10, 200])


_DAMAGES = (_flip, _flip, _overwrite, _cut, _grow, _repeat)
