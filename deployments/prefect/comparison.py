"""What the server holds against what `prefect.yaml` says, difference by difference.

An operator's pause is a difference too: it may be meant, but nobody should have to remember it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prefect.client.schemas.objects import DeploymentSchedule, WorkPool, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import Automation, EventTrigger

from deployments.prefect import flows
from deployments.prefect.description import POOL, Deployment, Schedule, Trigger
from deployments.prefect.faults import Fault, shown
from deployments.prefect.held import Held

_DEPLOY = "deploy again, or change prefect.yaml if the server is right"
_RESUME = "resume it in the UI when the reason for the pause is gone"
_NO_SLOTS = "take the limit off: a slot that a dead run holds stops every run after it; the operation ledger excludes"
_REMOVE = "remove it in the UI: nothing in this project made it, and nothing here would change it"


def compare(described: Iterable[Deployment], held: Held, template: Mapping[str, Any]) -> list[Fault]:
    """Every difference; *template* is the base job template of the pool's type."""
    differences = [*_pool(held.pool, template), *_queues(held.queues)]
    for each in described:
        there = held.deployments.get(each.name)
        if there is None:
            differences.append(Fault(each.name, "no such deployment on the server", "one", _DEPLOY))
            continue
        differences += _deployment(each, there)
        differences += _schedules(each, there.schedules)
        differences += _triggers(each, there, held.automations[each.name])
    return [*differences, *(_other(each) for each in held.others)]


def _differing(
    where: str, expected: Mapping[str, Any], seen: Mapping[str, Any], hint: str = _DEPLOY
) -> Iterator[Fault]:
    for key, value in expected.items():
        if seen[key] != value:
            yield Fault(f"{where} {key}", f"the server holds {shown(seen[key])}", shown(value), hint)


def _pool(pool: WorkPool, template: Mapping[str, Any]) -> Iterator[Fault]:
    where = f"work pool {POOL}"
    yield from _differing(where, {"paused": False}, {"paused": pool.is_paused}, _RESUME)
    yield from _differing(where, {"concurrency limit": None}, {"concurrency limit": pool.concurrency_limit}, _NO_SLOTS)
    for part, expected in template.items():
        if pool.base_job_template.get(part) != expected:
            seen, wanted = (
                f"another {part} in its base job template",
                f"that of deployments/work_pools/{pool.type}.json",
            )
            yield Fault(where, seen, wanted, _DEPLOY)


def _queues(queues: Iterable[WorkQueue]) -> Iterator[Fault]:
    for queue in queues:
        where = f"work queue {queue.name}"
        yield from _differing(where, {"paused": False}, {"paused": queue.is_paused}, _RESUME)
        limit = {"concurrency limit": queue.concurrency_limit}
        yield from _differing(where, {"concurrency limit": None}, limit, _NO_SLOTS)


def _deployment(described: Deployment, there: DeploymentResponse) -> Iterator[Fault]:
    expected = {
        "entrypoint": described.entrypoint,
        "description": described.description,
        "tags": sorted(described.tags),
        "work pool": described.work_pool.name,
        "job variables": described.work_pool.job_variables,
        "parameters": described.parameters,
        "pull steps": [],
        "form": flows.form(flows.load(described.entrypoint)),
    }
    seen = {
        "entrypoint": there.entrypoint,
        "description": there.description,
        "tags": sorted(there.tags),
        "work pool": there.work_pool_name,
        "job variables": there.job_variables,
        "parameters": there.parameters,
        "pull steps": there.pull_steps or [],
        "form": there.parameter_openapi_schema,
    }
    yield from _differing(described.name, expected, seen)
    yield from _differing(described.name, {"paused": False}, {"paused": there.paused}, _RESUME)
    limit = there.global_concurrency_limit.limit if there.global_concurrency_limit else None
    yield from _differing(described.name, {"concurrency limit": None}, {"concurrency limit": limit}, _NO_SLOTS)


def _schedules(described: Deployment, there: Iterable[DeploymentSchedule]) -> Iterator[Fault]:
    left = list(there)
    for schedule in described.schedules:
        where = f"{described.name} schedule {schedule.slug}"
        found = next((each for each in left if each.slug == schedule.slug), None)
        if found is None:
            yield Fault(where, "no such schedule on the server", "one", _DEPLOY)
            continue
        left.remove(found)
        yield from _schedule(where, schedule, found)
    for each in left:
        seen = f"a schedule on the server ({shown(_when(each))}) that prefect.yaml lacks"
        yield Fault(f"{described.name} schedule {each.slug or each.id}", seen, "none", _DEPLOY)


def _schedule(where: str, described: Schedule, there: DeploymentSchedule) -> Iterator[Fault]:
    expected = {"cron": described.cron, "timezone": described.timezone, "parameters": described.parameters}
    timezone = getattr(there.schedule, "timezone", None)
    yield from _differing(where, expected, {"cron": _when(there), "timezone": timezone, "parameters": there.parameters})
    # Paused by somebody, or at rest when it was deployed.
    hint = f"{_RESUME}, or deploy again" if described.active else _DEPLOY
    yield from _differing(where, {"active": described.active}, {"active": there.active}, hint)


def _when(there: DeploymentSchedule) -> str:
    return there.schedule.cron if isinstance(there.schedule, CronSchedule) else type(there.schedule).__name__


def _triggers(described: Deployment, there: DeploymentResponse, automations: Iterable[Automation]) -> Iterator[Fault]:
    left = list(automations)
    for trigger in described.triggers:
        where = f"{described.name} trigger {trigger.name}"
        found = [each for each in left if each.name == trigger.name]
        left = [each for each in left if each not in found]
        if len(found) != 1:
            yield Fault(where, f"{len(found)} automations of this name", "one", _DEPLOY)
            continue
        yield from _differing(where, _expected(trigger, there), _seen(found[0]))
    for each in left:
        seen = f"the automation {each.name!r} on the server that prefect.yaml lacks"
        yield Fault(f"{described.name} trigger", seen, "none", _REMOVE)


def _expected(trigger: Trigger, there: DeploymentResponse) -> dict[str, Any]:
    return {
        "enabled": trigger.enabled,
        "description": trigger.description,
        "expect": sorted(trigger.expect),
        "match": _lists(trigger.match),
        "fires": ("Reactive", 1, 0.0),
        "runs": [(there.id, trigger.parameters)],
    }


def _lists(match: Mapping[str, str | list[str]]) -> dict[str, list[str]]:
    """One value and a list of one are the same to Prefect."""
    return {key: [value] if isinstance(value, str) else value for key, value in match.items()}


def _seen(automation: Automation) -> dict[str, Any]:
    trigger = automation.trigger
    event = trigger if isinstance(trigger, EventTrigger) else None
    return {
        "enabled": automation.enabled,
        "description": automation.description,
        "expect": sorted(event.expect) if event else type(trigger).__name__,
        "match": _lists(dict(event.match.items())) if event else None,
        "fires": (event.posture.value, event.threshold, event.within.total_seconds()) if event else None,
        "runs": [
            (action.deployment_id, action.parameters or {}) if isinstance(action, RunDeployment) else action.type
            for action in automation.actions
        ],
    }


def _other(there: DeploymentResponse) -> Fault:
    seen = f"a deployment of {there.entrypoint} that prefect.yaml lacks"
    hint = f"prefect deployment delete {there.id}; deploying never removes one, and its schedules go on"
    return Fault(there.name, seen, "none", hint)
