"""What a worker counts and times, for Prometheus. Labels are names from the catalog: never a tenant, never a model as asked."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from steward.ai.attempts import Outcome
from steward.costs.budgets.spending import Scope

#: The promise is an answer within two seconds, the provider included.
_ANSWERS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_OURS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 4.0)


class Metrics:
    """Of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "steward_ai_requests", "Requests by their end", ("api", "alias", "outcome"), registry=self.registry
        )
        self._attempts = Counter(
            "steward_ai_attempts", "Attempts by their end", ("route", "ending"), registry=self.registry
        )
        self._tokens = Counter(
            "steward_ai_tokens", "Tokens told by providers", ("route", "kind"), registry=self.registry
        )
        self._answers = Histogram(
            "steward_ai_answer_seconds",
            "From a request's last byte to its answer's last, the provider included",
            ("alias",),
            buckets=_ANSWERS,
            registry=self.registry,
        )
        self._first = Histogram(
            "steward_ai_first_token_seconds",
            "From an attempt's first byte to its first token",
            ("route",),
            buckets=_ANSWERS,
            registry=self.registry,
        )
        self._waits = Histogram(
            "steward_ai_waited_seconds", "Waited for our own parts", ("part",), buckets=_OURS, registry=self.registry
        )
        self._open = Gauge("steward_ai_requests_open", "Requests under way", registry=self.registry)
        self._score = Gauge(
            "steward_ai_route_score", "0 to 1, as this worker sees it", ("route",), registry=self.registry
        )
        self._is_shut = Gauge("steward_ai_route_shut", "1: only probes go there", ("route",), registry=self.registry)
        self._stops = Gauge(
            "steward_ai_budget_stops", "Tenants, projects and providers stopped", ("scope",), registry=self.registry
        )
        self._stops_read = Gauge(
            "steward_ai_budget_stops_read",
            "0: what budgets stop could not be read, and is as it was known before",
            registry=self.registry,
        )

    def begun(self) -> None:
        """A request."""
        self._open.inc()

    def answered(self, api: str, alias: str, outcome: str, seconds: float) -> None:
        """The same one, over."""
        self._open.dec()
        self._requests.labels(api, alias, outcome).inc()
        if outcome == "answered":
            self._answers.labels(alias).observe(seconds)

    def waited(self, part: str, seconds: float) -> None:
        """Before an attempt could be sent."""
        self._waits.labels(part).observe(seconds)

    def attempt(self, route: str, ending: str) -> None:
        """One that told nothing else."""
        self._attempts.labels(route, ending).inc()

    def ended(self, route: str, outcome: Outcome) -> None:
        """One that told something."""
        self.attempt(route, str(outcome.ending))
        if outcome.first_token_ms is not None:
            self._first.labels(route).observe(outcome.first_token_ms / 1000)
        if outcome.usage:
            self._tokens.labels(route, "input").inc(outcome.usage.input)
            self._tokens.labels(route, "output").inc(outcome.usage.output)

    def route(self, name: str, score: float, *, is_shut: bool) -> None:
        """How it does."""
        self._score.labels(name).set(score)
        self._is_shut.labels(name).set(is_shut)

    def stops(self, count: Mapping[Scope, int]) -> None:
        """As many budgets stop something, by what they are of."""
        self._stops_read.set(1)
        for scope in Scope:
            self._stops.labels(scope).set(count.get(scope, 0))

    def stops_unread(self) -> None:
        """The database did not tell."""
        self._stops_read.set(0)
