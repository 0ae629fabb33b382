"""What a start comes to: a run of Prefect's, an answer at GitHub, a refusal, or another try later.

Everything here may happen twice with the effect of once, for a dispatcher may be killed after it and before that is on record: Prefect
knows a run by its key and an event by its id, and an answer at GitHub is the same answer.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from prefect.events.schemas.events import Event, RelatedResource, Resource
from prefect.types._datetime import DateTime

from services.watch.runs import DeploymentGone, PrefectAway, RunRefused, Runs
from services.webhooks.deciding import Answer, answer_of
from steward.clients.github_asking import GitHubRefused
from steward.clients.github_protection import answer, standing
from steward.clients.postgres import Connection
from steward.clients.webhook_starts import UNFIT, Waiting
from steward.errors import StewardError
from steward.settings import GitHubApi, Settings

#: What cannot be done now is tried again after a pause that grows to this.
MOST_PAUSE_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.5
_MOST_DOUBLINGS = 6
#: GitHub may ask before it can be answered: "No pending custom deployment requests", for a moment.
_YOUNG_SECONDS = 60.0
#: Names of runs are for people.
_NAME_CHARACTERS = 120
_EVENTS = uuid.UUID("0b0f7f6c-6c1b-5f0e-9c0a-7f6d1f6f3a52")


@dataclass(frozen=True, slots=True)
class Started:
    """Prefect has its run."""

    run_id: str
    unheard: str | None = None
    """Why Prefect took no event of it: the run goes on, and no automation hears of it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """GitHub has its answer."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Waiting cures nothing: a person mends something, and asks for it again."""

    why: str
    unheard: str | None = None
    """Why Prefect took no event of it."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Tried again after so long."""

    why: str
    seconds: float
    is_away: bool = False
    """It was Prefect that did not answer: others have to wait as well."""


Outcome = Started | Decided | Refused | Postponed


def begin(db: Connection, runs: Runs, settings: Settings, start: Waiting) -> Outcome:
    """Do what *start* asks for. Raises nothing but what loses the database."""
    try:
        return _begin(db, runs, settings, start)
    except PrefectAway as error:
        return Postponed(error.message, pause_after(start.tries), is_away=True)
    except StewardError as error:
        if error.transient:
            return Postponed(error.message, pause_after(start.tries))
        return _refused(runs, start, error.message)


def prefect_answered(outcome: Outcome) -> bool | None:
    """What *outcome* says of Prefect; None: nothing, for it was not asked."""
    match outcome:
        case Started() | Refused():
            return True
        case Postponed(is_away=True):
            return False
        case _:
            return None


def pause_after(tries: int) -> float:
    """Seconds: half of one, twice as long each time, up to MOST_PAUSE_SECONDS."""
    return min(MOST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(tries, _MOST_DOUBLINGS))


def _begin(db: Connection, runs: Runs, settings: Settings, start: Waiting) -> Outcome:
    if UNFIT in start.parameters:
        return _refused(runs, start, str(start.parameters[UNFIT]))
    if start.deployment is None:
        return _decide(db, runs, settings, start)
    try:
        run_id = runs.create(
            runs.deployment_id(start.deployment),
            key=start.idempotency_key,
            name=f"{start.rule} {start.key}"[:_NAME_CHARACTERS],
            parameters=start.parameters,
            tags=["webhook", start.source],
        )
    except (DeploymentGone, RunRefused) as error:
        told = f"Prefect has no deployment {start.deployment}" if isinstance(error, DeploymentGone) else error.message
        return _refused(runs, start, told)
    # Before it is on record, so that a start which is has told of itself.
    return Started(run_id, _unheard(runs, event_of("steward.deploy.requested", start, run_id=run_id)))


def _refused(runs: Runs, start: Waiting, why: str) -> Outcome:
    try:
        return Refused(why, _unheard(runs, event_of("steward.deploy.refused", start, why=why)))
    except PrefectAway as error:
        return Postponed(f"{why}; to be told: {error.message}", pause_after(start.tries), is_away=True)


def _unheard(runs: Runs, event: Event) -> str | None:
    """Why Prefect takes no such event: no reason to take back what was done. None: it has it."""
    try:
        runs.emit(event)
    except (DeploymentGone, RunRefused) as error:
        return error.message
    return None


def _decide(db: Connection, runs: Runs, settings: Settings, start: Waiting) -> Outcome:
    api = api_of(settings, start.source)
    if api is None:
        return _refused(runs, start, f"the settings have no [webhooks.sources.{start.source}.api] to answer at")
    found = answer_of(db, settings, start.parameters, start.age_seconds)
    if not isinstance(found, Answer):
        return Postponed(found, MOST_PAUSE_SECONDS)
    try:
        answer(
            api,
            settings.vault,
            str(start.parameters["callback_url"]),
            environment=str(start.parameters["environment"]),
            state=found.state,
            comment=found.comment,
            mark=start.idempotency_key,
        )
    except GitHubRefused as refused:
        if refused.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        return _answered_before(runs, api, settings, start, refused.message)
    return Decided(f"{found.state}: {found.comment}")


def _answered_before(runs: Runs, api: GitHubApi, settings: Settings, start: Waiting, why: str) -> Outcome:
    """GitHub takes one answer: a dispatcher may have given it, and have been killed before that was on record."""
    had = standing(
        api,
        settings.vault,
        str(start.parameters["callback_url"]),
        environment=str(start.parameters["environment"]),
        mark=start.idempotency_key,
    )
    if had.answered:
        return Decided(f"{had.answered}: GitHub had the answer already")
    if start.age_seconds < _YOUNG_SECONDS:
        return Postponed(why, pause_after(start.tries))
    if had.waits:
        return _refused(runs, start, why)
    return Decided("not answered: GitHub waits for no answer any more")


def api_of(settings: Settings, source: str) -> GitHubApi | None:
    """Where GitHub is answered for what *source* sent."""
    told = settings.webhooks.sources.get(source) if settings.webhooks else None
    return told.api if told is not None and told.kind == "github" else None


def event_of(name: str, start: Waiting, *, run_id: str | None = None, why: str | None = None) -> Event:
    """Of one start and each of its words one event, however often it is told."""
    payload: dict[str, Any] = {
        "source": start.source,
        "event": start.event,
        "key": start.key,
        "delivery": start.delivery_id,
        "rule": start.rule,
        "deployment": start.deployment,
        "run": run_id,
        "why": why,
    }
    run = {"prefect.resource.id": f"prefect.flow-run.{run_id}", "prefect.resource.role": "flow-run"}
    return Event(
        # With the key: numbers of rows begin anew in a database that is set up anew, and Prefect keeps old events.
        id=uuid.uuid5(_EVENTS, f"{start.idempotency_key}/{start.id}/{name}/{why or ''}"),
        occurred=DateTime.fromisoformat(datetime.now(UTC).isoformat()),
        event=name,
        resource=Resource({"prefect.resource.id": f"steward.webhook.{start.source}.{start.rule}"}),
        related=[RelatedResource(run)] if run_id else [],
        payload=payload,
    )
