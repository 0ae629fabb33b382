"""What a dispatcher counts, for Prometheus, and how the inbox stands; what is not known is absent, not zero."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from services.webhooks.starting import Outcome, Refused, Started
from steward.clients.webhook_starts import Standing

#: Ten of the longest pauses between two tries.
_LATELY_SECONDS = 300.0


class Counts(Collector):
    """Of one dispatcher."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
        """None: the database was not asked yet, or is away."""
        self._prefect_answers = False
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
                self._asked_at, self._prefect_answers = asked_at, answers

    def prefect_answers(self) -> bool | None:
        """None: nobody here has asked it lately. What it did not answer then, another dispatcher may have begun since."""
        with self._answering:
            return self._prefect_answers if time.monotonic() - self._asked_at < _LATELY_SECONDS else None

    @override
    def collect(self) -> Iterator[Metric]:
        answers = self.prefect_answers()
        if answers is not None:
            yield GaugeMetricFamily(
                "steward_webhook_prefect_up",
                "Whether Prefect answered the newest start that asked it",
                value=int(answers),
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
