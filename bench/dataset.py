"""The documents that benches are run on: real ones, dealt to twenty tenants, one in a hundred deleted again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import islice
from typing import Any, NamedTuple

from elasticsearch import helpers

from demo import corpus
from demo.application import connect
from demo.corpus import Document
from steward.clients.elasticsearch import open_search
from steward.search.names import TenantName
from steward.settings import Settings

TENANTS = 20
#: Deleted documents stay in their segments until a merge, and make reading slower: figures without them flatter.
ONE_IN = 100


class Dealt(NamedTuple):
    """A document and the tenant that gets it."""

    alias: str
    document: Document


def tenant_name(number: int) -> TenantName:
    """The bench's tenants are numbered; each keeps the documents of about 22 services."""
    return TenantName(f"bench-{number:02}")


def names() -> list[TenantName]:
    """All of them."""
    return [tenant_name(number) for number in range(TENANTS)]


def documents(start: int, stop: int) -> Iterator[Dealt]:
    """The documents numbered from *start* to *stop*, the same every time. There are 430,548 with botocore 1.44.8.

    Operations, shapes, examples, paginators, waiters and endpoint rules come first, 178,492 of them; members of
    structures, which repeat what their shape says, only after those.
    """
    return islice(_every_document(), start, stop)


def _every_document() -> Iterator[Dealt]:
    whole = [kind for kind in corpus.KINDS if kind != "member"]
    for kinds in (whole, ["member"]):
        for number, service in enumerate(corpus.services()):
            alias = tenant_name(number % TENANTS).alias
            for document in corpus.documents(service, kinds=kinds):
                yield Dealt(alias, _unique(service, document))


def _unique(service: str, document: Document) -> Document:
    """Ids are unique within a service only, and here a tenant keeps several."""
    return Document(f"{service}:{document.id}", document.routing, document.source)


def make_tenants(settings: Settings, tenants: Iterable[TenantName]) -> None:
    """Their indices and aliases, from the index template of production."""
    template = files("deployments.elasticsearch").joinpath("tenant_template.json").read_text()
    with open_search(settings, "production", "provision") as client:
        client.request("PUT", "/_index_template/tenant", json.loads(template))
        for name in tenants:
            # Without replicas, which only loading would notice: points in time are opened on primaries.
            body = {"aliases": {name.alias: {"is_write_index": True}}, "settings": {"number_of_replicas": 0}}
            client.request("PUT", f"/{name.first_index}", body)


def load(settings: Settings, start: int, stop: int) -> int:
    """Create the documents from *start* to *stop*, delete every hundredth again; returns how many are left."""
    doomed: list[dict[str, Any]] = []

    def creations() -> Iterator[dict[str, Any]]:
        for number, (alias, document) in enumerate(documents(start, stop)):
            target = {"_index": alias, "_id": document.id, "routing": document.routing}
            if number % ONE_IN == 0:
                doomed.append({"_op_type": "delete", **target})
            yield {"_op_type": "create", "_source": document.source, **target}

    with connect(settings) as client:
        patient = client.options(retry_on_status=(429,), max_retries=20)
        created = sum(ok for ok, _ in helpers.parallel_bulk(patient, creations(), thread_count=3))
        deleted = sum(ok for ok, _ in helpers.parallel_bulk(patient, doomed, thread_count=3))
    return created - deleted
