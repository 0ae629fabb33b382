"""What the judge is given, read from Prometheus: whatever cannot be had is missing there, and says nothing for a release.

Users are counted by the application's library over all its processes, so each process tells the same totals, or older ones:
the largest is taken. They are as old as the oldest process's word that everything it noted is in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from steward.clients.prometheus import Answer, Prometheus, Value, open_prometheus
from steward.clients.prometheus_errors import PrometheusAway, PrometheusBadAnswer, PrometheusRefused
from steward.rollout.plan import Plan
from steward.rollout.preconditions import NotReady
from steward.rollout.readings import MISSING, ArmCounts, Override, Reading, Sample
from steward.rollout.record import Rollout
from steward.rollout.state import State
from steward.settings import GuardQuery, Settings

#: The baseline is that of so many minutes before the release has the traffic.
_BASELINE = "5m"
_AWAY = (PrometheusAway, PrometheusBadAnswer, PrometheusRefused)
_P95 = "1000 * histogram_quantile(0.95, sum by (le) (rate({of}[{window}])))"
_SECONDS = 'http_request_seconds_bucket{colour="$colour"}'
_SEARCHES = 'http_request_seconds_bucket{colour="$colour",path="/search"}'
_ANSWERS = 'haproxy_backend_http_responses_total{proxy="$backend"}'
_CHECKS = 'haproxy_server_check_failures_total{proxy="$backend",server="$colour"}'
_UP = 'haproxy_server_status{proxy="$backend",server="$colour",state="UP"}'

#: What a plan's guards are, where the settings say nothing else.
GUARDS = {
    # Of what users were answered, the share that is no failure of ours.
    "availability": GuardQuery(
        expression=f'1 - (sum(rate({_ANSWERS[:-1]},code="5xx"}}[30s])) or vector(0)) / sum(rate({_ANSWERS}[30s]))',
        of=_ANSWERS,
    ),
    "search_p95_ms": GuardQuery(expression=_P95.format(of=_SEARCHES, window="30s"), of=_SEARCHES),
    # 1 where the load balancer has the colour up, and none of its checks failed of late.
    "health": GuardQuery(
        expression=f"min(min_over_time({_UP}[15s])) * (1 - clamp_max(sum(increase({_CHECKS}[15s])), 1))", of=_CHECKS
    ),
}


def read_baseline(settings: Settings, plan: Plan, colour: str) -> float:
    """Milliseconds: the p95 of *colour* over the last minutes. Raises NotReady where it, or a guard of *plan*, is not known."""
    _require_guards(settings, plan)
    of = Template(_SECONDS).substitute(colour=colour)
    with open_prometheus(settings) as prometheus:
        found = _one(prometheus.evaluate(_P95.format(of=of, window=_BASELINE), of=of, fresh_seconds=plan.stale_seconds))
    if found.fresh is None:
        raise NotReady(
            f"the p95 of {colour} over the last {_BASELINE} is {found}: without it nobody can say what is slow",
            hint="does the colour have users, and is it scraped with its label `colour`? Ask Prometheus: " + of,
        )
    return found.fresh


def read_step(
    settings: Settings, prometheus: Prometheus, rollout: Rollout, override: Override | None = None
) -> Reading:
    """One look at the step at which *rollout* is. Prometheus away leaves everything missing."""
    at = f'flag="{rollout.flag}",rollout="{rollout.id}",step="{rollout.step}"'
    users = _alive(_latest(prometheus, f"steward_flag_users{{{at}}}"), rollout)
    recorded = _latest(prometheus, f'steward_flag_recorded_timestamp_seconds{{colour="{rollout.colour}"}}')
    told_at = _told_at(_alive(recorded, rollout))
    begun_at = rollout.step_begun_at.timestamp()
    # Processes that tell of everything since then, and not of this step, have met nobody in it.
    is_known = bool(users) or (told_at is not None and told_at > begun_at)
    on = [each for each in users if each.labels.get("variant") == rollout.variant]
    off = [each for each in users if each.labels.get("variant") != rollout.variant]
    return Reading(
        step=rollout.step,
        exposure=rollout.exposure,
        begun_at=begun_at,
        baking=rollout.state is State.BAKING,
        on=_arm(on, told_at, rollout, is_known=is_known),
        off=_arm(off, told_at, rollout, is_known=is_known),
        guards={each.name: _guard(settings, prometheus, rollout, each.name) for each in rollout.plan.guards},
        override=override,
    )


def _require_guards(settings: Settings, plan: Plan) -> None:
    unknown = [each.name for each in plan.guards if each.name not in GUARDS | _ours(settings)]
    if unknown:
        raise NotReady(
            f"nobody says how guard {', '.join(unknown)} is asked for; known: {', '.join(sorted(GUARDS | _ours(settings)))}",
            hint="add [prometheus.guards.NAME] with expression and of, or leave it out of the plan",
        )


def _ours(settings: Settings) -> dict[str, GuardQuery]:
    return settings.prometheus.guards if settings.prometheus else {}


def _latest(prometheus: Prometheus, selector: str) -> tuple[Value, ...]:
    try:
        return prometheus.latest(selector).values
    except _AWAY:
        return ()


def _alive(values: Iterable[Value], rollout: Rollout) -> list[Value]:
    """Of processes that are still scraped; where none is, what the last of them told."""
    every = list(values)
    stale = rollout.plan.stale_seconds
    return [each for each in every if each.age_seconds is not None and each.age_seconds <= stale] or every


def _told_at(recorded: Iterable[Value]) -> float | None:
    """Everything up to then is in the totals, by the process that is furthest behind."""
    return min((min(each.number or 0.0, each.at or 0.0) for each in recorded), default=None)


def _arm(counts: Iterable[Value], told_at: float | None, rollout: Rollout, *, is_known: bool) -> ArmCounts:
    """Where the step *is_known*, an arm of which nothing is told has nobody; else nothing is known of it."""
    largest = dict[str, Value]()
    for each in counts:
        kind = each.labels.get("kind", "")
        if kind not in largest or (each.number or 0) > (largest[kind].number or 0):
            largest[kind] = each
    samples = {kind: _sample(each, told_at) for kind, each in largest.items()}
    nobody = Sample(value=0, at=told_at) if is_known and not samples else MISSING
    return ArmCounts(
        users=samples.get("exposed", nobody),
        hits={each.name: samples.get(each.name, nobody) for each in rollout.plan.metrics},
    )


def _sample(value: Value, told_at: float | None) -> Sample:
    if told_at is None or value.at is None:
        return Sample(value=value.number)
    return Sample(value=value.number, at=min(value.at, told_at))


def _guard(settings: Settings, prometheus: Prometheus, rollout: Rollout, name: str) -> Sample:
    query = (GUARDS | _ours(settings))[name]
    names = {"colour": rollout.colour, "backend": settings.balancer(rollout.environment).backend}
    expression, of = (Template(text).safe_substitute(names) for text in (query.expression, query.of))
    try:
        found = _one(prometheus.evaluate(expression, of=of))
    except _AWAY:
        return MISSING
    return Sample(value=found.number, at=found.at)


def _one(answer: Answer) -> Value:
    return answer.of()
