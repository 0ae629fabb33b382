"""Prometheus's figures of costs, by what was stated last. What is UNKNOWN has no figure, and so no sample: never a zero."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from services.watch.situation import Situation
from steward.clients.cost_standing import CostsStand
from steward.verdicts import Verdict

_WHO = ["subject", "period"]
_DOLLARS = {
    "ledger": "What the ledger's attempts come to at list prices",
    "billed": "What the provider bills, before tax and credits",
    "variance": "Billed less the ledger, without what was agreed",
    "unexplained": "Of the variance, what no cause was found for",
    "bound": "What rounding may leave unexplained at most",
}


class CostCollector(Collector):
    """Of each subject's newest statements, and of budgets."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation

    @override
    def collect(self) -> Iterator[Metric]:
        """Called for each scrape."""
        stand = self._at.costs or CostsStand([], [], [])
        yield from _dollars(stand)
        yield from _verdicts(stand)
        yield from _budgets(stand)


def _dollars(stand: CostsStand) -> Iterator[Metric]:
    for name, told in _DOLLARS.items():
        metric = GaugeMetricFamily(f"steward_costs_{name}_dollars", told, labels=_WHO)
        for each in stand.stated:
            if (amount := each.amounts.get(name)) is not None:
                metric.add_metric([each.subject, each.period], float(amount))
        yield metric


def _verdicts(stand: CostsStand) -> Iterator[Metric]:
    verdict = GaugeMetricFamily("steward_costs_verdict", "1 for the verdict it has", labels=[*_WHO, "verdict"])
    stated = GaugeMetricFamily("steward_costs_stated_timestamp_seconds", "When it was stated", labels=_WHO)
    ended = GaugeMetricFamily("steward_costs_period_end_timestamp_seconds", "The end of its last day", labels=_WHO)
    for seen in stand.stated:
        who = [seen.subject, seen.period]
        for each in Verdict:
            verdict.add_metric([*who, each], int(seen.verdict is each))
        stated.add_metric(who, seen.stated_at.timestamp())
        ended.add_metric(who, seen.ended.timestamp())
    yield from (verdict, stated, ended)


def _budgets(stand: CostsStand) -> Iterator[Metric]:
    spent = GaugeMetricFamily("steward_costs_budget_spent_ratio", "Of a month's budget, spent", labels=["budget"])
    forecast = GaugeMetricFamily(
        "steward_costs_budget_forecast_ratio", "Of a month's budget, expected by its end", labels=["budget"]
    )
    for each in stand.budgets:
        if each.spent is not None:
            spent.add_metric([each.budget], float(each.spent))
        if each.forecast is not None:
            forecast.add_metric([each.budget], float(each.forecast))
    stopped = GaugeMetricFamily("steward_costs_budget_stopped", "1: it stops spending now", labels=["budget"])
    for stop in stand.stops:
        stopped.add_metric([stop.budget], 1)
    yield from (spent, forecast, stopped)
