"""Prefect as the watch sees it: flow runs in, a few commands out, and one error for a server that is away."""

from __future__ import annotations

import http
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.schemas.events import Event, Resource
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Scheduled
from prefect.types._datetime import DateTime

from steward.errors import StewardError, Unavailable
from steward.operations.provider_alarms import PROVIDER
from steward.operations.reaping import RunSeen

#: An answer takes tens of milliseconds; one that takes this long comes from a server that is as good as away.
TIMEOUT_SECONDS = 10.0
_PAGE = 200


class PrefectAway(Unavailable):
    """Prefect's server does not answer, or answers that it cannot."""


class DeploymentGone(StewardError):
    """Prefect has no such deployment."""


class RunRefused(StewardError):
    """Prefect makes no run of this deployment with these parameters."""


class Runs:
    """Prefect's API for one thread. Every method raises PrefectAway."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    def seen(self, run_ids: Iterable[str]) -> dict[str, RunSeen]:
        """Those of *run_ids* that Prefect has, by id."""
        found: dict[str, RunSeen] = {}
        wanted = sorted(set(run_ids))
        for start in range(0, len(wanted), _PAGE):
            asked = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(each) for each in wanted[start : start + _PAGE]]))
            found |= {str(run.id): as_seen(run) for run in self._read(asked)}
        return found

    def in_state(self, kind: StateType) -> list[FlowRun]:
        """Runs in a state of this type, those first that were to start first; a page of them."""
        return self._read(FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind]))))

    def named(self, state_name: str) -> list[FlowRun]:
        """Runs in a state of this name."""
        return self._read(FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[state_name]))))

    def scheduled_for(self, deployment_id: str, since: datetime, until: datetime) -> list[FlowRun]:
        """A deployment's runs that were to start between two moments, both included."""
        between = FlowRunFilterExpectedStartTime(
            after_=DateTime.fromisoformat(since.isoformat()), before_=DateTime.fromisoformat(until.isoformat())
        )
        return self._read(FlowRunFilter(expected_start_time=between), deployment_id)

    def deployment_id(self, name: str) -> str:
        """Of the deployment called *flow/deployment*. Raises DeploymentGone."""
        with _worded(name):
            return str(self._client.read_deployment_by_name(name).id)

    def form(self, name: str) -> dict[str, Any]:
        """The JSON schema of the parameters of *flow/deployment*. Raises DeploymentGone."""
        with _worded(name):
            return self._client.read_deployment_by_name(name).parameter_openapi_schema or {}

    def create(
        self,
        deployment_id: str,
        *,
        key: str,
        name: str,
        parameters: Mapping[str, Any],
        tags: Iterable[str],
        **when: Any,
    ) -> str:
        """The id of a new run, or of the one that was made under the same key. `at`: when it counts as scheduled.

        Raises DeploymentGone and RunRefused.
        """
        state = Scheduled(scheduled_time=when["at"]) if when.get("at") else None
        with _worded(deployment_id):
            run = self._client.create_flow_run_from_deployment(
                UUID(deployment_id),
                parameters=dict(parameters),
                idempotency_key=key,
                name=name,
                tags=list(tags),
                state=state,
            )
        return str(run.id)

    def end(self, run_id: str, how: str, message: str, name: str | None = None) -> None:
        """Set a run to its end (COMPLETED, FAILED, CRASHED, CANCELLED), whatever its state; one that is gone needs none."""
        state: State[Any] = State(type=StateType(how), name=name, message=message)
        try:
            with _worded(run_id):
                self._client.set_flow_run_state(UUID(run_id), state, force=True)
        except DeploymentGone:
            return

    def emit(self, event: Event) -> None:
        """Hand over an event; the same id twice is one event."""
        with _worded(event.event):
            self._client.request("POST", "/events", json=[event.model_dump(mode="json")])

    def _read(self, asked: FlowRunFilter, deployment_id: str | None = None) -> list[FlowRun]:
        of = DeploymentFilter(id=DeploymentFilterId(any_=[UUID(deployment_id)])) if deployment_id else None
        with _worded("flow runs"):
            return self._client.read_flow_runs(
                flow_run_filter=asked, deployment_filter=of, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=_PAGE
            )


@contextmanager
def connected() -> Generator[Runs]:
    """A client of the server that PREFECT_API_URL names. It does not repeat requests: the next round does."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings={"timeout": TIMEOUT_SECONDS}, sync_client=True) as client,
    ):
        yield Runs(client)


def event_of(alarm: Mapping[str, Any]) -> Event:
    """An alarm of the ledger as Prefect's event."""
    subject = alarm["subject"] or alarm["name"]
    named = f"steward.operation.{alarm['name']}.{subject}"
    if alarm["name"] == PROVIDER:
        named = f"steward.{PROVIDER}.{subject}"
    return Event(
        id=alarm["id"],
        occurred=alarm["occurred_at"],
        event=alarm["event"],
        resource=Resource({"prefect.resource.id": named}),
        payload=alarm["told"],
    )


def as_seen(run: FlowRun) -> RunSeen:
    state = run.state
    return RunSeen(
        id=str(run.id),
        name=run.name,
        type=str(state.type.value) if state else "SCHEDULED",
        state_name=(state.name or "") if state else "",
        since=(state.timestamp if state else run.created) or run.expected_start_time or DateTime.min,
        expected_at=(state.state_details.scheduled_time if state else None) or run.expected_start_time,
        began=run.start_time is not None,
        has_process=bool(run.infrastructure_pid),
        deployment_id=str(run.deployment_id) if run.deployment_id else None,
    )


@contextmanager
def _worded(what: str) -> Generator[None]:
    try:
        yield
    except ObjectNotFound:
        raise DeploymentGone(f"Prefect has no {what}", hint="deploy it, then reopen the operation") from None
    except PrefectHTTPStatusError as error:
        raise _status(what, error) from None
    except httpx.HTTPError as error:
        raise PrefectAway(f"Prefect does not answer: {type(error).__name__} {error}".strip()) from None


def _status(what: str, error: PrefectHTTPStatusError) -> StewardError:
    code = error.response.status_code
    told = f"{code} {error.response.text[:300]}"
    if code == http.HTTPStatus.NOT_FOUND:
        return DeploymentGone(f"Prefect has no {what}", hint="deploy it, then reopen the operation")
    if code in (http.HTTPStatus.CONFLICT, http.HTTPStatus.UNPROCESSABLE_ENTITY, http.HTTPStatus.BAD_REQUEST):
        return RunRefused(f"Prefect refuses {what}: {told}", hint="has the deployment's form changed?")
    # 401 and 403 too: a password that is being changed costs no operation.
    return PrefectAway(f"Prefect answers {told}", hint="check PREFECT_API_URL and PREFECT_API_AUTH_STRING")
