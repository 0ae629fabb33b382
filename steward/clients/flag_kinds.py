"""What kinds of outcome an application counts, as its processes tell Prometheus whether or not a rollout is under way."""

from __future__ import annotations

from steward.clients.prometheus import open_prometheus
from steward.rollout.preconditions import NotReady
from steward.settings import Settings


def read_kinds(settings: Settings, colour: str, stale_seconds: float) -> frozenset[str]:
    """What every process of *colour* counts: of one that does not, users would be missing. Raises NotReady where none tells."""
    selector = f'steward_flag_kinds{{colour="{colour}"}}'
    with open_prometheus(settings) as prometheus:
        found = prometheus.latest(selector, fresh_seconds=stale_seconds).values
    by_process = dict[str, set[str]]()
    for each in found:
        if each.fresh:
            by_process.setdefault(each.labels.get("instance", ""), set()).add(each.labels.get("kind", ""))
    if not by_process:
        told = min((each.age_seconds for each in found if each.age_seconds is not None), default=None)
        raise NotReady(
            f"nobody tells what outcomes {colour} counts: {'nothing is there' if told is None else f'last told {told:.0f} s ago'}",
            hint="is the colour scraped with its label `colour`, and does it register OutcomeCollector? Ask Prometheus: "
            + selector,
        )
    return frozenset(set[str].intersection(*by_process.values()))
