"""What a good engineer would write in ten minutes: scan both sides, hash each document, compare the dictionaries.

It is right only while nobody writes, and holds a digest of every document in memory. Everything that the proof
compares is compared: `_id`, `_routing`, `_version`, `_seq_no`, `_primary_term` and `_source`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from elasticsearch import Elasticsearch, helpers

#: Five times the default of `scan`, and faster here.
PAGE = 5_000


def digests(client: Elasticsearch, index: str) -> dict[tuple[str, str | None], bytes]:
    """A digest of each document of *index*, by id and routing."""
    query = {"query": {"match_all": {}}, "version": True, "seq_no_primary_term": True}
    return {
        (hit["_id"], hit.get("_routing")): hashlib.blake2b(
            json.dumps([hit["_version"], hit["_seq_no"], hit["_primary_term"], hit["_source"]], sort_keys=True).encode()
        ).digest()
        for hit in helpers.scan(client, query, index=index, size=PAGE)
    }


def compare(
    source: Elasticsearch, scratch: Elasticsearch, indices: Iterable[str], prefix: str, workers: int = 1
) -> int:
    """How many documents of *indices* differ from those of their copies; *workers* indices at a time."""

    def differing(index: str) -> int:
        ours, theirs = digests(source, index), digests(scratch, prefix + index)
        return len(ours.items() ^ theirs.items())

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(differing, indices))
