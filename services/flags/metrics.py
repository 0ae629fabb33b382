"""What the flag server counts, for Prometheus; of the board, what it is at each scrape."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from services.flags.board import Board


class Metrics(Collector):
    """Of one server."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.streams_open = 0
        self.registry = CollectorRegistry()
        self._pushes = Counter("steward_flags_pushes", "Documents given to streams", registry=self.registry)
        self.registry.register(self)

    @contextmanager
    def stream(self) -> Generator[None]:
        """While it is open."""
        self.streams_open += 1
        try:
            yield
        finally:
            self.streams_open -= 1

    def pushed(self) -> None:
        """A document to one stream."""
        self._pushes.inc()

    @override
    def collect(self) -> Iterator[Metric]:
        board, now = self._board, time.time()
        yield _gauge("streams", "SDKs that are told of changes", self.streams_open)
        yield _gauge("database_up", "Whether the store answers", int(board.away_since is None))
        yield _gauge("database_behind", "1: it is older than what was served", int(board.behind is not None))
        if served := board.served:
            yield _gauge("revision", "Of the document that is served", served.revision)
            yield _gauge("refused", "Flags that are served as they were", len(served.refused))
            age = 0.0 if board.away_since is None else now - board.away_since
            yield _gauge("stale_seconds", "How long the document could not be compared with the store", age)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"steward_flags_{name}", told, value=value)
