"""Live traffic, bounded: tenants write at a steady rate until a time is over, a signal comes, or the block is left."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from threading import Event
from typing import Any

from elastic_transport import ConnectionError as NoAnswer
from elasticsearch import ApiError, Elasticsearch

from demo.application import connect
from demo.oplog import Entry, OperationLog, Outcome
from demo.tenants import Tenant
from demo.traffic import Traffic, Write
from steward.errors import BadInput
from steward.settings import Settings

#: Documents of its own that a tenant changes, and real bodies that it takes words from.
KNOWN = 500
WORDS = 50
#: Requests a second at most; each carries as many writes of one tenant as the rate asks for.
REQUESTS = 20
#: Writes in one request at most: after a stall the lost time is caught up in bursts, not in one flood.
BURST = 200
#: Seconds before the next request when a node is away or full.
PAUSE = 0.5
TOO_MANY_REQUESTS = 429
NOT_PERMITTED = (401, 403)


@contextmanager
def writing(
    settings: Settings,
    tenants: Sequence[Tenant],
    *,
    rate: float = 200,
    seconds: float = 3600,
    path: Path | None = None,
    seed: int | None = None,
) -> Generator[OperationLog]:
    """Traffic beside the block, from its beginning; on leaving it, every request has been answered and logged.

    An error that waiting cannot cure ends the traffic at once and is raised on leaving.
    """
    begun, stop = Event(), Event()
    with OperationLog(path) as log, ThreadPoolExecutor(1, "writers") as pool:
        done = pool.submit(write, settings, tenants, log, stop, rate=rate, seconds=seconds, seed=seed, begun=begun)
        # Failed before its first request, it would never begin.
        done.add_done_callback(lambda _: begun.set())
        begun.wait()
        try:
            yield log
        finally:
            stop.set()
        done.result()


def write(
    settings: Settings,
    tenants: Sequence[Tenant],
    log: OperationLog,
    stop: Event,
    *,
    rate: float,
    seconds: float,
    seed: int | None = None,
    begun: Event | None = None,
) -> None:
    """Writes to *tenants* in turn, *rate* a second in all, for at most *seconds* or until *stop* is set.

    *begun* is set once the first request has been answered.
    """
    if not tenants or rate <= 0:
        raise BadInput(
            f"asked for {rate} writes a second by {len(tenants)} tenants", hint="name a tenant, and a rate above zero"
        )
    with connect(settings) as client:
        # Own ids carry the seed: two writers at once, or one after the other, never claim the same id by chance.
        own = int(time.time()) if seed is None else seed
        turns = cycle([traffic(client, tenant, own) for tenant in tenants])
        for size in pace(rate, seconds, stop):
            log.append(send(client, next(turns), size))
            if begun:
                begun.set()


def traffic(client: Elasticsearch, tenant: Tenant, seed: int) -> Traffic:
    """*tenant*'s stream of writes, upon documents that it has in the cluster now."""
    found = client.search(index=tenant.alias, size=KNOWN, source=False, sort="_doc")
    known: dict[str, str | None] = {hit["_id"]: hit.get("_routing") for hit in found["hits"]["hits"]}
    return Traffic(tenant.alias, seed, [document.source for document in tenant.documents(WORDS)], known)


def pace(rate: float, seconds: float, stop: Event) -> Iterator[int]:
    """How many writes are due, each time some are, so that *rate* holds over the whole of *seconds*."""
    started, given = time.monotonic(), 0
    while not stop.is_set() and (elapsed := time.monotonic() - started) < seconds:
        due = min(int(elapsed * rate) + 1 - given, BURST)
        if due >= rate / REQUESTS:
            given += due
            yield due
        else:
            stop.wait(1 / REQUESTS / 4)


def send(client: Elasticsearch, stream: Traffic, size: int) -> list[Entry]:
    """One request of *size* writes and what became of each. No answer is an outcome too: `unknown`."""
    writes, sent = stream.batch(size), time.time()
    lines = [line for write in writes for line in _lines(write)]
    try:
        # A missing alias must be refused, never created as an index of that name.
        answer = client.bulk(index=stream.tenant, operations=lines, require_alias=True)
    except NoAnswer as error:
        return _unanswered(stream, writes, sent, type(error).__name__)
    except ApiError as error:
        if error.status_code in NOT_PERMITTED:
            raise
        return _unanswered(stream, writes, sent, f"{error.status_code} {error.error}")
    answered = time.time()
    entries = [
        _entry(stream.tenant, write, outcome, sent, answered)
        for write, item in zip(writes, answer["items"], strict=True)
        for outcome in item.values()
    ]
    _learn(stream, writes, entries)
    return entries


def _lines(write: Write) -> list[dict[str, Any]]:
    target = {"_id": write.id, "routing": write.routing}
    action = {write.action: {key: value for key, value in target.items() if value is not None}}
    if write.body is None:
        return [action]
    return [action, {"doc": write.body} if write.action == "update" else write.body]


def _entry(tenant: str, write: Write, outcome: dict[str, Any], sent: float, answered: float) -> Entry:
    refused: dict[str, Any] | None = outcome.get("error")
    done = refused is None and outcome["status"] < 300  # noqa: PLR2004  HTTP's own bound of success
    verdict: Outcome = "acknowledged" if done else "refused"
    return Entry(
        tenant=tenant,
        op=write.action,
        id=outcome["_id"],
        outcome=verdict,
        sent=sent,
        answered=answered,
        routing=write.routing,
        index=outcome["_index"],
        seq_no=outcome.get("_seq_no"),
        primary_term=outcome.get("_primary_term"),
        version=outcome.get("_version"),
        error=refused["type"] if refused else None if done else str(outcome["result"]),
    )


def _learn(stream: Traffic, writes: list[Write], entries: list[Entry]) -> None:
    """Given ids become known; of a refused write's document nothing is known any more."""
    for write, entry in zip(writes, entries, strict=True):
        if write.id is None and entry.outcome == "acknowledged":
            stream.learn(entry.id, write.routing)
    stream.forget(entry.id for entry in entries if entry.outcome == "refused")


def _unanswered(stream: Traffic, writes: list[Write], sent: float, error: str) -> list[Entry]:
    stream.forget(write.id for write in writes if write.id is not None)
    time.sleep(PAUSE)
    return [
        Entry(stream.tenant, write.action, write.id or "", "unknown", sent, time.time(), write.routing, error=error)
        for write in writes
    ]
