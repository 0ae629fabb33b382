"""Golden queries: the copy must find what the source found. Ids are compared, not scores: those follow statistics.

Documents equal byte for byte can still be unfindable (a broken analyzer, a lost postings list), so a search has to be
run. Source hits come from the first point in time; a hit on one side only is no fault where the document itself
changed in the window, which the document's `_seq_no` on both sides tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from steward.snapshots.api import SearchApi
from steward.snapshots.capture import NOT_FOUND
from steward.snapshots.errors import PointInTimeLost, SearchIncomplete
from steward.snapshots.findings import Finding, refuted, unknown

MOST_HITS = 1_000
"""Hits compared a query and shard, lowest `_seq_no` first."""


KEEP_ALIVE = "30m"


class Searched(BaseModel):
    """One shard to search: of the source at a point in time, or of the restored copy (then without one)."""

    model_config = ConfigDict(frozen=True)

    index: str
    shard: int
    point_in_time: str | None = None


class Hits(BaseModel):
    """`_id` to `_seq_no` of the hits of one query on one shard, lowest `_seq_no` first, at most MOST_HITS."""

    model_config = ConfigDict(frozen=True)

    found: dict[str, int]

    @property
    def complete_below(self) -> int | None:
        """Up to which `_seq_no` the list is complete; None: all hits are in it."""
        return max(self.found.values()) if len(self.found) >= MOST_HITS else None


def disputed(source: Hits, copy: Hits) -> list[str]:
    """The ids that only one side found, as far as both lists are complete."""
    bounds = [bound for bound in (source.complete_below, copy.complete_below) if bound is not None]
    end = min(bounds) if bounds else None

    def within(hits: Hits) -> set[str]:
        return {doc for doc, seq_no in hits.found.items() if end is None or seq_no <= end}

    one, other = within(source), within(copy)
    return sorted((one - other) | (other - one))


def compare_hits(subject: str, ids: Sequence[str], source: Mapping[str, int], copy: Mapping[str, int]) -> list[Finding]:
    """Findings about *ids* that only one side found; *source* and *copy* give the documents' `_seq_no` there.

    Equal `_seq_no`s mean the same document: then one search is wrong. Unequal ones mean that it was written or deleted
    in the window, and the comparison of contents has judged it.
    """
    return [
        refuted(subject, f"document {doc} is the same on both sides, but only one side finds it")
        for doc in ids
        if doc in source and source.get(doc) == copy.get(doc)
    ]


def assess_matches(matches: Mapping[str, int]) -> list[Finding]:
    """A golden query that matched nothing anywhere proves nothing. *matches*: hits by query name, over all tenants."""
    return [
        unknown(f"golden query {name}", "matched no document of any tenant, so it proves nothing")
        for name, count in sorted(matches.items())
        if count == 0
    ]


def find_hits(client: SearchApi, where: Searched, query: Mapping[str, Any]) -> Hits:
    """The hits of *query* on one shard."""
    found = _search(client, where, {"query": query, "size": MOST_HITS, "sort": ["_seq_no"]})
    return Hits(found=found)


def find_documents(client: SearchApi, where: Searched, ids: Sequence[str]) -> dict[str, int]:
    """The `_seq_no` of each of *ids* that the shard holds; at most MOST_HITS ids."""
    return _search(client, where, {"query": {"ids": {"values": list(ids)}}, "size": MOST_HITS})


def _search(client: SearchApi, where: Searched, body: dict[str, Any]) -> dict[str, int]:
    request = {"_source": False, "seq_no_primary_term": True, "track_total_hits": False, **body}
    if where.point_in_time:
        request["pit"] = {"id": where.point_in_time, "keep_alive": KEEP_ALIVE}
        path = "/_search?allow_partial_search_results=false"
    else:
        path = f"/{where.index}/_search?preference=_shards:{where.shard}&allow_partial_search_results=false"
    answer = client.request("POST", path, request, ok=(NOT_FOUND,))
    if "error" in answer:
        raise PointInTimeLost(
            f"the point in time on {where.index}[{where.shard}] is gone, or its index is",
            hint="its node left or it expired; a new attempt takes a new snapshot",
        )
    if answer["timed_out"] or answer["_shards"]["failed"]:
        raise SearchIncomplete(
            f"a search on {where.index}[{where.shard}] answered in part only", hint="look at the cluster's health"
        )
    return {hit["_id"]: hit["_seq_no"] for hit in answer["hits"]["hits"]}
