"""What an application shows Prometheus: the totals that the judge reads, how fresh they are, and how requests end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from steward.flags.application.exposures import Kind
from steward.flags.application.outcomes import Outcomes
from steward.flags.application.writer import Writer

#: The promise is 100 ms for a search.
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STEP = ("flag", "rollout", "step", "variant", "kind")


class OutcomeCollector(Collector):
    """Users of all instances together, as the database told this one: so queries take `max by`, never `sum`."""

    def __init__(self, outcomes: Outcomes, writer: Writer) -> None:
        self._outcomes, self._writer = outcomes, writer

    def collect(self) -> Iterable[Metric]:
        """At each scrape; touches no database."""
        # Before the totals: those may be newer than it says, never older.
        recorded_at = self._writer.recorded_at
        yield self._users()
        yield self._kinds()
        yield _gauge(
            "steward_flag_recorded_timestamp_seconds",
            "Everything that this instance noted up to then is in the totals",
            recorded_at,
        )
        yield _gauge("steward_flag_outcomes_waiting", "Outcomes noted and not written yet", self._outcomes.waiting)
        yield _counter("steward_flag_outcomes_dropped", "Outcomes that were never written", self._outcomes.dropped)
        yield _counter("steward_flag_faults", "Times the library failed on something", self._outcomes.broken)

    def _users(self) -> Metric:
        users = GaugeMetricFamily(
            "steward_flag_users", "Users by their first outcome of a kind in a step", labels=_STEP
        )
        counted = {(total.at, total.variant, total.kind): total.users for total in self._writer.totals}
        # Nobody erred is a count, too, of everybody who was exposed.
        for at, variant in dict.fromkeys((at, variant) for at, variant, _ in counted):
            for kind in self._outcomes.kinds:
                if kind != Kind.SLOW or self._outcomes.asks_for_slowness(at):
                    labels = (at.flag, at.rollout, str(at.step), variant, kind)
                    users.add_metric(labels, counted.get((at, variant, kind), 0))
        return users

    def _kinds(self) -> Metric:
        """Told whether or not a rollout is under way: before one begins it is seen whether its metrics are counted."""
        kinds = GaugeMetricFamily(
            "steward_flag_kinds", "Kinds of outcome that this instance counts, each 1", labels=["kind"]
        )
        for kind in self._outcomes.kinds:
            kinds.add_metric([kind], 1)
        return kinds


class RequestMetrics:
    """Requests and their times, by the release that served them; an observer for `OutcomeMiddleware`.

    *path_of* gives a request's path as one of few: a label for every product would fill the server.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        colour: str,
        release: str,
        path_of: Callable[[MutableMapping[str, Any]], str],
    ) -> None:
        self._colour, self._release, self._path_of = colour, release, path_of
        self._requests = Counter(
            "http_requests", "Requests by how they ended", ("colour", "release", "path", "status"), registry=registry
        )
        self._seconds = Histogram(
            "http_request_seconds",
            "From a request's first byte here to its answer's last",
            ("colour", "release", "path"),
            buckets=_SECONDS,
            registry=registry,
        )

    def request(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        """Status 0 counts as `left`: the client's or the server's end, not the release's doing."""
        path, ended = self._path_of(scope), f"{status // 100}xx" if status else "left"
        self._requests.labels(self._colour, self._release, path, ended).inc()
        self._seconds.labels(self._colour, self._release, path).observe(seconds)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
