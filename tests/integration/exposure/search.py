"""Thousands of needles looked for at once, at hundreds of megabytes a second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tests.integration.exposure.needles import Secret, numbers, pieces, written

_WORD = 8
#: Whatever is so long has a whole word of 8 bytes at a place that 8 divides, wherever it lies.
_SHORTEST = 2 * _WORD - 1
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
#: So many places of the table to each word that is looked for: one word in so many others is looked at twice.
_SPARSE_BITS, _MOST_BITS = 6, 22
#: Looked at together: what numpy makes of it stays in the processor's cache.
_CHUNK = 1 << 20


class Found(NamedTuple):
    """One piece of a secret."""

    secret: Secret
    form: str
    piece: int
    at: int


class Search:
    """For *secrets*, however they are written."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        # By each of the words that may lie at such a place: (the needle, how far into it the word is, whose it is).
        self._by_word: dict[bytes, list[tuple[bytes, int, Secret, str, int]]] = defaultdict(list)
        self.count = 0
        seen: set[bytes] = set()
        for secret in secrets:
            for number, form, needle in _needles(secret):
                if len(needle) >= _SHORTEST and needle not in seen:
                    seen.add(needle)
                    self._add(needle, secret, form, number)
        bits = min(len(self._by_word).bit_length() + _SPARSE_BITS, _MOST_BITS)
        self._shift, self._table = np.uint64(64 - bits), np.zeros(1 << bits, bool)
        if self._by_word:
            words = np.frombuffer(b"".join(self._by_word), "<u8")
            self._table[self._places(words)] = True

    def find(self, data: bytes | memoryview) -> Iterator[Found]:
        """Every piece in *data*."""
        data = memoryview(data)
        for start in range(0, len(data) - _WORD + 1, _CHUNK):
            count = min(_CHUNK, len(data) - start) // _WORD
            words = np.frombuffer(data, "<u8", count, start)
            for index in np.flatnonzero(self._table[self._places(words)]):
                yield from self._at(data, start + int(index) * _WORD)

    def _at(self, data: memoryview, at: int) -> Iterator[Found]:
        for needle, inside, secret, form, number in self._by_word.get(bytes(data[at : at + _WORD]), ()):
            begin = at - inside
            if begin >= 0 and data[begin : begin + len(needle)] == needle:
                yield Found(secret, form, number, begin)

    def _add(self, needle: bytes, secret: Secret, form: str, number: int) -> None:
        self.count += 1
        for inside in range(_WORD):
            self._by_word[needle[inside : inside + _WORD]].append((needle, inside, secret, form, number))

    def _places(self, words: np.ndarray) -> np.ndarray:
        return ((words * _MULTIPLIER) >> self._shift).view(np.int64)


def _needles(secret: Secret) -> Iterator[tuple[int, str, bytes]]:
    for number, piece in enumerate(pieces(secret.value)):
        for form, needle in written(piece):
            yield number, form, needle
    for form, needle in numbers(int.from_bytes(secret.value, "big")):
        yield -1, form, needle
