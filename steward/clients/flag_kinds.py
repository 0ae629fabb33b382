"""What kinds of outcome an application counts, as its processes tell Prometheus whether or not a rollout is under way."""

from __future__ import annotations

from collections.abc import Iterable

from steward.clients.prometheus import Value, open_prometheus
from steward.rollout.preconditions import NotReady
from steward.settings import Settings


def read_kinds(settings: Settings, colour: str, stale_seconds: float) -> frozenset[str]:
    """What every process of *colour* counts. Raises NotReady where none tells."""
    selector = f'steward_flag_kinds{{colour="{colour}"}}'
    with open_prometheus(settings) as prometheus:
        found = prometheus.latest(selector, fresh_seconds=stale_seconds).values
    if not (kinds := counted_by_all(found)):
        ages = [each.age_seconds for each in found if each.age_seconds is not None]
        raise NotReady(
            f"nobody tells what outcomes {colour} counts: {f'last told {min(ages):.0f} s ago' if ages else 'nothing is there'}",
            hint="is the colour scraped with its label `colour`, and does it register OutcomeCollector? Ask Prometheus: "
            + selector,
        )
    return kinds


def counted_by_all(told: Iterable[Value]) -> frozenset[str]:
    """The kinds that every process tells of which something fresh is there: of one that counts less, users would be missing."""
    by_process = dict[str, dict[str, float]]()
    for each in told:
        if each.fresh and each.at is not None:
            by_process.setdefault(each.labels.get("instance", ""), {})[each.labels.get("kind", "")] = each.at
    return frozenset(set[str].intersection(*map(_told_last, by_process.values()))) if by_process else frozenset()


def _told_last(kinds: dict[str, float]) -> set[str]:
    """Without what only the process told that ran at the address before."""
    return {kind for kind, at in kinds.items() if at == max(kinds.values())}
