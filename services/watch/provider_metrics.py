"""Prometheus's figures of AI providers, from what the watch last saw. What is not known any more is absent, not zero."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from services.watch.situation import ProbeSeen, Situation
from steward.ai.probing import ANSWERING, COVERS, ProviderState

_WHO = ["account", "provider"]


class ProviderCollector(Collector):
    """Of each account that was asked within COVERS."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation

    @override
    def collect(self) -> Iterator[Metric]:
        """Called for each scrape."""
        up = GaugeMetricFamily("steward_ai_provider_up", "Whether the account's provider answers", labels=_WHO)
        state = GaugeMetricFamily("steward_ai_provider_state", "1 for the state it is in", labels=[*_WHO, "state"])
        seconds = GaugeMetricFamily("steward_ai_provider_probe_seconds", "Until the answer began", labels=_WHO)
        probed = GaugeMetricFamily(
            "steward_ai_provider_probed_timestamp_seconds", "When it was last asked", labels=_WHO
        )
        for seen in self._fresh():
            probe = seen.probe
            who = [probe.account, probe.provider]
            for each in ProviderState:
                state.add_metric([*who, each], int(probe.state is each))
            probed.add_metric(who, seen.at)
            if probe.state is not ProviderState.UNKNOWN:
                up.add_metric(who, int(probe.state in ANSWERING))
            if probe.latency_ms is not None:
                seconds.add_metric(who, probe.latency_ms / 1000)
        yield from (up, state, seconds, probed)

    def _fresh(self) -> list[ProbeSeen]:
        oldest = time.monotonic() - COVERS.total_seconds()
        return [seen for seen in [*self._at.probes.values()] if seen.monotonic > oldest]
