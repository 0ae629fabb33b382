"""Documents as a search page carries them: everything but the index's name, `_source` as the bytes it was sent in."""

from __future__ import annotations

import hashlib

import msgspec

from steward.snapshots.assessment import State


class Document(msgspec.Struct, gc=False):
    """One hit. Two are equal when everything that the proof compares is, byte by byte."""

    # The names are the wire's: msgspec matches them without a table, and `_` means nothing more.
    _id: str
    _seq_no: int
    _primary_term: int
    _version: int
    _source: msgspec.Raw = msgspec.Raw(b"")
    _routing: str = ""

    def state(self) -> State:
        """What is kept of a document that differs: its figures and a digest, not its bytes."""
        digest = hashlib.blake2b(self._source, digest_size=16).digest()
        return State(self._seq_no, self._primary_term, self._version, self._routing, digest)


class _Shards(msgspec.Struct):
    failed: int


class _Hits(msgspec.Struct):
    hits: list[Document]


class _Figures(msgspec.Struct):
    count: int
    min: float | None
    max: float | None
    sum: float


class _Bucket(msgspec.Struct, gc=False):
    key: float


class _Buckets(msgspec.Struct):
    buckets: list[_Bucket]


class _Aggregations(msgspec.Struct):
    figures: _Figures | None = None
    numbers: _Buckets | None = None


class SearchAnswer(msgspec.Struct):
    """The parts of a `_search` answer that the proof reads."""

    timed_out: bool
    _shards: _Shards
    hits: _Hits
    aggregations: _Aggregations | None = None

    @property
    def complete(self) -> bool:
        """Whether every shard answered in full: an absent document would otherwise look deleted."""
        return not self.timed_out and not self._shards.failed


decode_answer = msgspec.json.Decoder(SearchAnswer).decode
