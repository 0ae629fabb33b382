"""A repository registered for the time of one restore, and what was restored from it summed up by index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from steward.repository.hashing import in_threads
from steward.snapshots.api import SearchApi
from steward.snapshots.digests import ContentDigest
from steward.snapshots.shards import NOT_FOUND, primaries
from steward.snapshots.views import RestoredShard

#: More threads only queue at the server; fewer leave it idle while a page is decoded.
WORKERS = 3
PAGE = 5_000
#: Sequence numbers that one thread reads before another may go on.
SPAN = 100_000


def register(api: SearchApi, name: str, body: Mapping[str, Any]) -> None:
    """Register the repository *name*; twice is harmless. The cluster looks whether it can read there."""
    api.request("PUT", f"/_snapshot/{quote(name, safe='')}", dict(body))


def unregister(api: SearchApi, name: str) -> None:
    """Forget the repository; what lies there stays. Twice is harmless. Restores from it have to be over, or dropped."""
    api.request("DELETE", f"/_snapshot/{quote(name, safe='')}", ok=(NOT_FOUND,))


def content_digests(api: SearchApi, prefix: str, indices: Collection[str], workers: int = WORKERS) -> dict[str, str]:
    """Each restored index's digest by its source's name: `ALGORITHM:DOCUMENTS:HEX`, docs/content-digest.md.

    The copies are called *prefix* + name; their shards have started, and nothing writes them. Raises Unproven where a
    shard has not, or a search does not answer in full.
    """
    copies = {prefix + name: name for name in indices}
    totals = {name: ContentDigest() for name in indices}

    def read(span: _Span) -> tuple[str, ContentDigest]:
        return copies[span.index], span.read(api)

    for name, digest in in_threads(read, _spans(api, list(copies)), workers):
        totals[name].merge(digest)
    return {name: digest.text() for name, digest in totals.items()}


@dataclass(frozen=True)
class _Span:
    index: str
    shard: int
    low: int
    high: int

    def read(self, api: SearchApi) -> ContentDigest:
        view, digest, low = RestoredShard(api, self.index, self.shard), ContentDigest(), self.low
        while low <= self.high:
            page, _ = view.page(low, self.high, PAGE)
            digest.add(page)
            if len(page) < PAGE:
                break
            low = page[-1]._seq_no + 1  # noqa: SLF001  the wire's name
        return digest


def _spans(api: SearchApi, copies: list[str]) -> Iterator[_Span]:
    for shard, primary in sorted(primaries(api, copies).items()):
        for low in range(0, primary.max_seq_no + 1, SPAN):
            yield _Span(shard.index, shard.number, low, min(low + SPAN - 1, primary.max_seq_no))
