"""Views of one shard: a point in time of the source, or the restored copy, read in order of `_seq_no`."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from steward.snapshots.api import SearchApi
from steward.snapshots.documents import Document, SearchAnswer, decode_answer
from steward.snapshots.errors import PointInTimeLost, SearchIncomplete
from steward.snapshots.shards import NOT_FOUND

#: index.max_result_window, and the most buckets that are asked for at once.
MOST_PAGE = 10_000


class Figures(NamedTuple):
    """Of the sequence numbers of a range's living documents: enough to tell two sets of them apart but by intent."""

    living: int
    total: int
    least: int
    greatest: int


class View(Protocol):
    """One shard as it was at one moment. Bounds are inclusive. Raises Unproven where it cannot answer in full."""

    def page(self, low: int, high: int, size: int) -> tuple[list[Document], int]:
        """Up to *size* documents with `_seq_no` from *low* to *high*, in that order, and the answer's bytes."""
        ...

    def figures(self, low: int, high: int) -> Figures:
        """The figures of the `_seq_no`s that live there. No stored field is read."""
        ...

    def numbers(self, low: int, high: int) -> set[int]:
        """The `_seq_no`s that live there, at most MOST_PAGE of them. No stored field is read."""
        ...


class _SearchView:
    def __init__(self, api: SearchApi, path: str, body: dict[str, Any]) -> None:
        self._api = api
        self._path = f"{path}allow_partial_search_results=false"
        self._body = {**body, "track_total_hits": False}

    def page(self, low: int, high: int, size: int) -> tuple[list[Document], int]:
        # No filter_path: it re-prints `_source`, and decimals lose digits.
        asked = {"size": size, "sort": ["_seq_no"], "seq_no_primary_term": True, "version": True}
        answer, weight = self._search(low, high, asked)
        return answer.hits.hits, weight

    def figures(self, low: int, high: int) -> Figures:
        answer, _ = self._search(low, high, {"size": 0, "aggs": {"figures": {"stats": {"field": "_seq_no"}}}})
        found = answer.aggregations and answer.aggregations.figures
        if not found or not found.count or found.min is None or found.max is None:
            return NOTHING
        return Figures(found.count, int(found.sum), int(found.min), int(found.max))

    def numbers(self, low: int, high: int) -> set[int]:
        wanted = {"terms": {"field": "_seq_no", "size": MOST_PAGE, "order": {"_key": "asc"}}}
        answer, _ = self._search(low, high, {"size": 0, "aggs": {"numbers": wanted}})
        found = answer.aggregations and answer.aggregations.numbers
        return {int(bucket.key) for bucket in found.buckets} if found else set()

    def _search(self, low: int, high: int, asked: dict[str, Any]) -> tuple[SearchAnswer, int]:
        body = {**self._body, "query": {"range": {"_seq_no": {"gte": low, "lte": high}}}, **asked}
        raw = self._api.raw("POST", self._path, body, ok=(NOT_FOUND,))
        if raw.startswith(b'{"error"'):
            raise self._lost()
        answer = decode_answer(raw)
        if not answer.complete:
            raise SearchIncomplete(
                f"a search of {self} timed out or failed on a shard",
                hint="look at the nodes' load and breakers, then run again",
            )
        return answer, len(raw)

    def _lost(self) -> PointInTimeLost:
        return PointInTimeLost(
            f"{self} is gone: its node left, or it expired", hint="the night is proved by a new snapshot, attempt 2"
        )


NOTHING = Figures(0, 0, -1, -1)


def figures_of(documents: list[Document]) -> Figures:
    """Those of a page in order of `_seq_no`."""
    if not documents:
        return NOTHING
    numbers = [document._seq_no for document in documents]  # noqa: SLF001  the wire's name
    return Figures(len(numbers), sum(numbers), numbers[0], numbers[-1])


class PointInTime(_SearchView):
    """A shard of the source as a point in time shows it."""

    def __init__(self, api: SearchApi, pit: str, keep: str, name: str) -> None:
        super().__init__(api, "/_search?", {"pit": {"id": pit, "keep_alive": keep}})
        self._name = name

    def __str__(self) -> str:
        return self._name


class RestoredShard(_SearchView):
    """A shard of the restored copy, which nothing writes."""

    def __init__(self, api: SearchApi, index: str, number: int) -> None:
        super().__init__(api, f"/{index}/_search?preference=_shards:{number}&", {})
        self._name = f"the copy {index}[{number}]"

    def __str__(self) -> str:
        return self._name
