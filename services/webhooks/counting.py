"""What a dispatcher counts, for Prometheus, and how the inbox stands; what is not known is absent, not zero."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from services.webhooks.starting import Outcome, Refused, Started
from steward.clients.webhook_starts import Standing


class Counts(Collector):
    """Of one dispatcher."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
        """None: the database was not asked yet, or is away."""
        self.prefect_away = False
        self._asked_at = -math.inf
        self._answering = threading.Lock()
        self.registry = CollectorRegistry()
        self._outcomes = Counter(
            "steward_webhook_starts",
            "Tries to begin what deliveries ask for, by source and outcome: started, decided, refused, postponed",
            ["source", "outcome"],
            registry=self.registry,
        )
        self._unheard = Counter(
            "steward_webhook_events_refused",
            "Events of starts that Prefect did not take, by source: what was begun goes on, and no automation hears of it",
            ["source"],
            registry=self.registry,
        )
        self.registry.register(self)

    def add(self, source: str, outcome: Outcome) -> None:
        """One try."""
        self._outcomes.labels(source, type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Started | Refused) and outcome.unheard:
            self._unheard.labels(source).inc()

    def prefect(self, *, answers: bool, asked_at: float) -> None:
        """What one lane was told by Prefect, asked at a moment of `time.monotonic`.

        The newest question counts, not the newest answer: one that was asked while Prefect was away may time out long after another
        lane was answered.
        """
        with self._answering:
            if asked_at >= self._asked_at:
                self._asked_at, self.prefect_away = asked_at, not answers

    @override
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "steward_webhook_prefect_up",
            "Whether Prefect answered the last start that asked it",
            value=int(not self.prefect_away),
        )
        if standing := self.standing:
            states = GaugeMetricFamily(
                "steward_webhook_deliveries", "Deliveries of the last day, by state", labels=["source", "state"]
            )
            for (source, state), count in standing.counts.items():
                states.add_metric([source, state], count)
            yield states
            yield GaugeMetricFamily(
                "steward_webhook_oldest_waiting_seconds",
                "How long the oldest delivery waits for what it starts",
                value=standing.waiting_seconds,
            )
