"""Proof that a tenant is searchable: a document written and found through the alias, as the application's own user.

The document is removed again, and one that a killed run left behind is removed by the next. Where the tenant already
has documents nothing is written: a search that every shard answers is the proof then.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from steward.search.names import TenantName
from steward.search.onboarding import Proof
from steward.search.requests import NOT_FOUND, Requests

MARKER = "steward-onboarding-marker"
_KIND = "steward-onboarding"
_WORD = "onboarding"


def prove_searchable(client: Requests, tenant: TenantName) -> Proof:
    """Write, find and remove a document, or search those there are. *client* is the application's user, not ours."""
    _remove_marker(client, tenant)
    if documents := _documents(client, tenant):
        return Proof(done=f"a search of {documents} documents through {tenant.alias}")
    with _marker(client, tenant):
        missed = _not_found(client, tenant)
    left = _marker_hits(client, tenant)
    findings = (*missed, *((f"the marker {MARKER} could not be removed",) if left else ()))
    done = f"a document written, found by its words and its kind, and removed, through {tenant.alias}"
    return Proof(done=done, findings=findings)


def _documents(client: Requests, tenant: TenantName) -> int:
    return _search(client, tenant, {"match_all": {}})["hits"]["total"]["value"]


def _not_found(client: Requests, tenant: TenantName) -> tuple[str, ...]:
    """By its words and by its kind: one needs the analyzer, the other the exact field; both the template's mapping."""
    query = {"bool": {"must": {"match": {"documentation": _WORD}}, "filter": {"term": {"kind": _KIND}}}}
    ids = [hit["_id"] for hit in _search(client, tenant, query)["hits"]["hits"]]
    if ids == [MARKER]:
        return ()
    return (f"a search through {tenant.alias} for a document just written found {ids or 'nothing'}",)


@contextmanager
def _marker(client: Requests, tenant: TenantName) -> Generator[None]:
    body = {"kind": _KIND, "name": MARKER, "documentation": f"Written by {_WORD}, and removed by it."}
    try:
        client.request("PUT", f"/{tenant.alias}/_doc/{MARKER}?refresh=true&require_alias=true", body)
        yield
    finally:
        _remove_marker(client, tenant)


def _remove_marker(client: Requests, tenant: TenantName) -> None:
    """Found first: deleting what is not there would still count as an operation of the index."""
    for hit in _marker_hits(client, tenant):
        client.request("DELETE", f"/{hit['_index']}/_doc/{MARKER}?refresh=true", ok=(NOT_FOUND,))


def _marker_hits(client: Requests, tenant: TenantName) -> list[dict[str, Any]]:
    return _search(client, tenant, {"ids": {"values": [MARKER]}})["hits"]["hits"]


def _search(client: Requests, tenant: TenantName, query: dict[str, Any]) -> dict[str, Any]:
    # A shard that does not answer is an error, not a shard without documents.
    path = f"/{tenant.alias}/_search?allow_partial_search_results=false&track_total_hits=true"
    return client.request("POST", path, {"query": query, "size": 2, "_source": False})
