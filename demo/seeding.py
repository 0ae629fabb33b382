"""The tenants' documents, put into the cluster as the application would."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast

from elasticsearch import Elasticsearch, helpers

from demo.application import connect
from demo.corpus import Document
from demo.tenants import Tenant
from steward.errors import BadInput, StewardError
from steward.settings import Settings

#: Documents in a request; with 0.5 kB each, far below the 100 MB that a node accepts.
CHUNK = 500
CONFLICT = 409
#: Requests under way at once; more only queue on a small cluster.
LOADERS = 3

Report = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a seeding did: documents created, documents found in place already, and how long it took."""

    created: int
    present: int
    seconds: float


class NotOnboarded(BadInput):
    """The tenant has no alias to write through."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"there is no alias {alias}", hint="run the deployment onboard-tenant for it first")
        self.alias = alias


class SeedingFailed(StewardError):
    """A document was not accepted."""


def seed(settings: Settings, tenants: Iterable[Tenant], documents: int, report: Report = lambda _: None) -> Seeded:
    """Give each of *tenants* its share of *documents*; run again, it creates what is missing and changes nothing.

    *report* is told now and then how many documents are in place, from several threads.
    """
    chosen = list(tenants)
    share = documents // max(1, len(chosen))
    return load(settings, {tenant.alias: tenant.documents(share) for tenant in chosen}, report)


def load(settings: Settings, streams: dict[str, Iterator[Document]], report: Report = lambda _: None) -> Seeded:
    """Create every document of each stream through the alias it is keyed by. Searches see it within the index's refresh interval."""
    tally = _Tally(report)
    with connect(settings) as client, ThreadPoolExecutor(LOADERS) as pool:
        for done in [pool.submit(_fill, client, alias, stream, tally) for alias, stream in streams.items()]:
            done.result()
    return tally.result()


class _Tally:
    """Counts documents from several threads."""

    def __init__(self, report: Report) -> None:
        self._started, self._lock, self._report = time.monotonic(), Lock(), report
        self._created = self._present = 0

    def add(self, created: bool) -> None:
        with self._lock:
            self._created += created
            self._present += not created
            if (self._created + self._present) % CHUNK == 0:
                self._report(self._created + self._present)

    def result(self) -> Seeded:
        return Seeded(self._created, self._present, time.monotonic() - self._started)


def _fill(client: Elasticsearch, alias: str, documents: Iterator[Document], tally: _Tally) -> None:
    for created in _create(client, alias, documents):
        tally.add(created)


def _create(client: Elasticsearch, alias: str, documents: Iterator[Document]) -> Iterator[bool]:
    """Whether each document was new. One that is there already stays as its tenant keeps it."""
    requests = helpers.streaming_bulk(
        # Creating under a given id twice has the effect of once: patience with a node that is away or full (429).
        client.options(max_retries=3, retry_on_timeout=True),
        (_action(alias, document) for document in documents),
        chunk_size=CHUNK,
        max_retries=8,
        initial_backoff=0.5,
        raise_on_error=False,
        # Without it a missing alias would be created as an index of that name.
        require_alias=True,
    )
    # Closed here, in its own thread: its tracing context cannot be left from another one.
    with closing(cast("Generator[tuple[bool, dict[str, Any]]]", requests)) as outcomes:
        for accepted, outcome in outcomes:
            yield accepted or _created(alias, outcome["create"])


def _created(alias: str, outcome: dict[str, Any]) -> bool:
    if outcome["status"] == CONFLICT:
        return False
    error = outcome.get("error", {})
    if error.get("type") == "index_not_found_exception":
        raise NotOnboarded(alias)
    raise SeedingFailed(
        f"{alias} refused document {outcome.get('_id')}: {outcome['status']} {error.get('reason', error)}",
        hint="compare the document with the index template `tenant`",
    )


def _action(alias: str, document: Document) -> dict[str, Any]:
    action = {"_op_type": "create", "_index": alias, "_id": document.id, "_source": document.source}
    return action if document.routing is None else action | {"routing": document.routing}
