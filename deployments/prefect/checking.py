"""Everything that is wrong with `prefect.yaml`, all at once, before a server hears of it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from cronsim import CronSim, CronSimError
from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError

from deployments.prefect import flows, templates
from deployments.prefect.description import POOL, Deployment, Schedule, Trigger, parse
from deployments.prefect.document import Document, Place, read
from deployments.prefect.events import KNOWN
from deployments.prefect.faults import Fault, nearest, secrets_in

#: Minute, hour, day of month, month, day of week. A sixth is seconds to one reader and years to another.
_CRON_FIELDS = 5


def check(path: Path) -> tuple[list[Deployment], list[Fault]]:
    """The deployments described in *path*, and its faults in the order in which they stand there."""
    document = read(path)
    described, faults = parse(document)
    faults = [*document.faults, *faults, *_secrets(document), *_version(document), *_names(document, described)]
    for index, deployment in described.items():
        faults += _deployment(document, ("deployments", index), deployment)
    return list(described.values()), sorted(faults, key=_line)


def _line(fault: Fault) -> int:
    number = fault.where.partition(":")[2].partition(" ")[0]
    return int(number) if number.isdigit() else 0


def _secrets(document: Document) -> Iterator[Fault]:
    for place in secrets_in(document.content):
        hint = "name the secret, and read it where it is used: Prefect stores and shows what stands here"
        yield Fault(document.where(place), "saw a value that looks like a secret", "none in this file", hint)


def _version(document: Document) -> Iterator[Fault]:
    said = document.content.get("prefect-version") if isinstance(document.content, dict) else None
    installed = metadata.version("prefect")
    if isinstance(said, str) and said != installed:
        hint = "what this file was tried with is what deploys it: change both together"
        yield Fault(document.where(("prefect-version",)), f"saw {said}", f"the installed {installed}", hint)


def _names(document: Document, described: dict[int, Deployment]) -> Iterator[Fault]:
    places = {("deployments", index, "name"): each.name for index, each in described.items()}
    yield from _twice(document, places, "the later one would replace the earlier one on the server")


def _twice(document: Document, values: dict[Place, str], hint: str) -> Iterator[Fault]:
    """A fault for each place but the first that says the same as another."""
    places = defaultdict[str, list[Place]](list)
    for place, value in values.items():
        places[value].append(place)
    for value, (first, *others) in places.items():
        for place in others:
            seen = f"saw {value!r} again, after {document.where(first)}"
            yield Fault(document.where(place), seen, "it once", hint)


def _deployment(document: Document, place: Place, deployment: Deployment) -> Iterator[Fault]:
    yield from _pool(document, place, deployment)
    yield from _flow(document, place, deployment)
    yield from _schedules(document, (*place, "schedules"), deployment.schedules)
    yield from _triggers(document, (*place, "triggers"), deployment.triggers)


def _pool(document: Document, place: Place, deployment: Deployment) -> Iterator[Fault]:
    name = deployment.work_pool.name
    if name != POOL:
        meant = f"did you mean {POOL!r}?" if nearest(name, [POOL]) else "runs would wait for a worker that never comes"
        where = document.where((*place, "work_pool", "name"))
        yield Fault(
            where, f"unknown work pool {name!r}", f"{POOL!r}, for which deployments/work_pools has templates", meant
        )
    known = templates.variables()
    for variable in deployment.work_pool.job_variables:
        # `env.NAME` sets one of env's own.
        if variable.partition(".")[0] not in known:
            word = nearest(variable, known)
            hint = f"did you mean {word!r}?" if word else "the worker would ignore it"
            where = document.where((*place, "work_pool", "job_variables", variable))
            yield Fault(where, f"unknown job variable {variable!r}", "a variable of a work pool's template", hint)


def _flow(document: Document, place: Place, deployment: Deployment) -> Iterator[Fault]:
    try:
        flow = flows.load(deployment.entrypoint)
    except flows.NoFlow as error:
        where = document.where((*place, "entrypoint"))
        yield Fault(where, f"no flow: {error}", "package.module.flow", "import it from this checkout to see the error")
        return
    if flow.name != deployment.name:
        where, hint = document.where((*place, "name")), "one name for both is what runbooks and dashboards count on"
        yield Fault(where, f"saw {deployment.name!r}", f"the flow's own name {flow.name!r}", hint)
    for name in flows.untold(flow):
        where, hint = document.where((*place, "entrypoint")), "the operator sees the form, not the code: describe it"
        yield Fault(where, f"the form's field {name} says nothing of itself", "a title and a description", hint)
    yield from _parameters(document, place, deployment, flow)


def _parameters(document: Document, place: Place, deployment: Deployment, flow: flows.AnyFlow) -> Iterator[Fault]:
    own = deployment.parameters
    sets = [((*place, "parameters"), own, False)]
    started: list[tuple[str, Iterable[Schedule | Trigger]]] = [
        ("schedules", deployment.schedules),
        ("triggers", deployment.triggers),
    ]
    for part, starters in started:
        sets += [
            ((*place, part, index, "parameters"), own | each.parameters, True) for index, each in enumerate(starters)
        ]
    for where, parameters, complete in sets:
        for misfit in flows.misfits(flow, parameters, complete=complete):
            hint = "the run would be refused when it is due: use what the flow's form takes"
            yield Fault(document.where(where), misfit, "parameters that the flow takes", hint)


def _schedules(document: Document, place: Place, schedules: list[Schedule]) -> Iterator[Fault]:
    for index, schedule in enumerate(schedules):
        if reason := unusable_cron(schedule.cron):
            where = document.where((*place, index, "cron"))
            hint = "minute, hour, day of month, month, day of week, as in `30 1 * * *`"
            yield Fault(where, f"saw {schedule.cron!r}: {reason}", "a cron expression that comes due", hint)
    crons = {(*place, index, "cron"): " ".join(each.cron.split()) for index, each in enumerate(schedules)}
    yield from _twice(document, crons, "Prefect fires both, so the run would start twice")
    slugs = {(*place, index, "slug"): each.slug for index, each in enumerate(schedules)}
    yield from _twice(document, slugs, "the slug is what a schedule is known by from one deploy to the next")


def unusable_cron(cron: str) -> str | None:
    """Why *cron* never comes due, or cannot be read by Prefect; None when it will."""
    if len(cron.split()) != _CRON_FIELDS:
        return f"{len(cron.split())} fields"
    try:
        CronSchedule(cron=cron, timezone="UTC")
    except ValidationError as error:
        return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
    try:
        # Prefect's own reader takes 30 February.
        next(CronSim(cron, dt.datetime.now(dt.UTC)))
    except (CronSimError, StopIteration) as error:
        return str(error) or "it never comes due"
    return None


def _triggers(document: Document, place: Place, triggers: list[Trigger]) -> Iterator[Fault]:
    names = {(*place, index, "name"): each.name for index, each in enumerate(triggers)}
    yield from _twice(document, names, "the name is what its automation is read back by")
    for index, trigger in enumerate(triggers):
        for event in set(trigger.expect) - KNOWN:
            meant = nearest(event, KNOWN)
            hint = f"did you mean {meant!r}?" if meant else "list it in deployments/prefect/events.py, with its sender"
            yield Fault(document.where((*place, index, "expect")), f"unknown event {event!r}", "one that is sent", hint)
