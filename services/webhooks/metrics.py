"""What a receiver counts, for Prometheus. What became of deliveries afterwards is in the inbox, and counted there."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Around the goal of 50 ms, and up to the ten seconds after which GitHub gives up.
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 2.5, 5, 10)


class Metrics:
    """Of one receiver."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "steward_webhook_answers",
            "Requests answered, by source and outcome: received, repeated, or why not",
            ["source", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "steward_webhook_answer_seconds",
            "From a request's headers to its answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.database_up = Gauge(
            "steward_webhook_database_up", "Whether the inbox answered last", registry=self.registry
        )
        self.unread_sources = Gauge(
            "steward_webhook_unread_sources", "Sources of which a secret was never read", registry=self.registry
        )

    def answered(self, source: str, outcome: str, seconds: float) -> None:
        """One request of *source*, a known one or "-": what a stranger calls itself makes no time series."""
        self._answers.labels(source, outcome).inc()
        self._seconds.observe(seconds)
