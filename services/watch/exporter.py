"""`/metrics` for Prometheus and `/healthz`, from what the watch last read: a scrape costs the database nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from services.watch.cost_metrics import CostCollector
from services.watch.provider_metrics import ProviderCollector
from services.watch.situation import Situation
from steward.errors import BadInput
from steward.operations.alarms import assess

#: A loop that has not ended a round for this long hangs.
HEALTHY_WITHIN_SECONDS = 120.0
_WHO = ["name", "subject"]
_Start = Callable[..., Any]
# Column of the ledger's tallies → metric, and what it says.
_LAST = {
    "verified_at": ("last_verified_timestamp_seconds", "When the operation last ended VERIFIED"),
    "duration_seconds": ("last_duration_seconds", "Of the last one to end, from its first attempt"),
    "in_doubt": ("in_doubt", "Operations that stopped because only a person can say whether a step happened"),
    "due_seconds": ("due_seconds", "How long the oldest due operation has been waiting for a run"),
    "waiting_seconds": ("waiting_seconds", "How long the oldest waiting operation has been waiting for a person"),
}


class LedgerCollector(Collector):
    """Metrics of the ledger and of the watch. What is not known is absent, not zero."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation

    @override
    def collect(self) -> Iterator[Metric]:
        """Called for each scrape."""
        yield from self._watch()
        yield from self._switch()
        yield from self._counted()
        yield from self._last()

    def _watch(self) -> Iterator[Metric]:
        at = self._at
        yield _gauge("steward_watch_database_up", "Whether the ledger's database answers", int(not at.database))
        yield _gauge("steward_watch_prefect_up", "Whether Prefect's server answers", int(not at.prefect))
        yield _gauge("steward_watch_settled", "Whether expired leases are acted upon", int(at.is_settled))
        acts = CounterMetricFamily("steward_watch_acts", "What this watch has done since it began", labels=["act"])
        for act in ("resumed", "failed", "cancelled", "freed", "tidied", "swept", "withdrawn", "returned"):
            acts.add_metric([act], at.acts[act])
        yield acts

    def _switch(self) -> Iterator[Metric]:
        overdue = GaugeMetricFamily(
            "steward_operation_overdue", "Dead man's switch: 1 where it was not VERIFIED for too long", labels=_WHO
        )
        late = GaugeMetricFamily(
            "steward_operation_last_lateness_seconds",
            "From its scheduled time to the first attempt, of the last one that began",
            labels=_WHO,
        )
        for watched in self._at.watched:
            expectation = watched.expectation
            if expectation.verified_within_hours is not None:
                is_overdue = assess(watched, self._at.now).is_overdue
                overdue.add_metric([expectation.name, expectation.subject], int(is_overdue))
        for who, seconds in self._lateness().items():
            late.add_metric(list(who), seconds)
        yield overdue
        yield late

    def _lateness(self) -> dict[tuple[str, str], float]:
        """By the schedule where there is one, else from when it was due."""
        rows = self._at.tallies.last if self._at.tallies else []
        due = {(row["name"], row["subject"]): row["lateness_seconds"] for row in rows}
        return {
            who: seconds for who, seconds in (due | self._at.lateness).items() if seconds is not None and seconds >= 0
        }

    def _counted(self) -> Iterator[Metric]:
        tallies = self._at.tallies
        operations = GaugeMetricFamily("steward_operations", "Of the ledger", labels=[*_WHO, "state", "verdict"])
        attempts = CounterMetricFamily("steward_operation_attempts", "By how they ended", labels=[*_WHO, "ended"])
        for row in tallies.operations if tallies else []:
            operations.add_metric([row["name"], row["subject"], row["state"], row["verdict"]], row["count"])
        for row in tallies.attempts if tallies else []:
            attempts.add_metric([row["name"], row["subject"], row["ended"]], row["count"])
        yield operations
        yield attempts

    def _last(self) -> Iterator[Metric]:
        rows = self._at.tallies.last if self._at.tallies else []
        for column, (name, told) in _LAST.items():
            metric = GaugeMetricFamily(f"steward_operation_{name}", told, labels=_WHO)
            for row in rows:
                if row[column] is not None:
                    metric.add_metric([row["name"], row["subject"]], row[column])
            yield metric


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=value)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        """A scrape each few seconds is no news."""


def serve(situation: Situation, host: str, port: int) -> int:
    """Answer on *host*:*port* from a thread of its own; the port, where 0 asked for any. Raises BadInput."""
    registry = CollectorRegistry()
    ours = (LedgerCollector(situation), ProviderCollector(situation), CostCollector(situation))
    for collector in (ProcessCollector(registry=None), PlatformCollector(registry=None), *ours):
        registry.register(collector)
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/healthz":
            return _health(situation, start)
        return metrics(environ, start)

    try:
        server = make_server(host, port, answer, _Server, _Quiet)
    except OSError as error:
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}", hint="name another with --listen") from None
    threading.Thread(target=server.serve_forever, name="exporter", daemon=True).start()
    return server.server_port


def _health(situation: Situation, start: _Start) -> Iterable[bytes]:
    """Whether its loops turn: a database or a Prefect that is away is said, and is not this process's illness."""
    oldest = time.monotonic() - min(situation.rounds.values())
    is_well = oldest < HEALTHY_WITHIN_SECONDS
    start("200 OK" if is_well else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
    lines = [
        f"{'ok' if is_well else 'hangs'}: oldest round {oldest:.1f} s ago",
        f"database: {situation.database or 'answers'}",
        f"prefect: {situation.prefect or 'answers'}",
    ]
    return ["\n".join(lines).encode() + b"\n"]
