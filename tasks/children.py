"""A run of another deployment as a step: on whichever worker, found again by whoever takes the parent up.

What is waited for is the child's operation and not its run: a run may die, and the reaper then makes another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, JsonValue
from pydantic_core import to_jsonable_python

from steward.errors import BadInput, StewardError
from steward.operations.errors import StepChanged
from steward.operations.following import Standing, keep_waiting, standing
from steward.operations.steps import current_step
from steward.operations.tries import tries
from steward.verdicts import Verdict
from tasks.durable import PERIOD_TAG, ledger, operation, step
from tasks.lineage import operation_id_for, parent_tag
from tasks.prefect_away import PrefectAway, prefect_client

POLL_SECONDS = 2.0
#: Runs of a child that crashed before they began are begun anew so many times.
_MOST_UNBEGUN = 3
#: services.watch.tidying.UNCLAIMED: what the watch calls a run that it has replaced.
UNCLAIMED = "Unclaimed"


class Child(BaseModel):
    """What a child came to. Its verdict is the parent's to judge: REFUTED is a finding, and no failure."""

    deployment: str
    flow_run_id: str
    operation_id: int | None
    """None: its flow is not durable, and the ledger knows nothing of it."""
    verdict: Verdict | None
    result: JsonValue


class ChildFailed(StewardError):
    """A child ended without an end: failed, undone or cancelled."""


@step("run child", run_name="run {deployment} {key}", key="{deployment} {key}")
def run_child(deployment: str, parameters: Mapping[str, Any], key: str = "", period: str | None = None) -> Child:
    """Start a run of *deployment*, or find the one that an earlier attempt started, and wait for what it comes to.

    A child that failed gets one more run from each attempt at this step. It is not cancelled with its parent, nor
    undone: it is an operation of its own. One that has not begun when its parent is cancelled, fails or is turned back
    is skipped.

    Args:
        deployment: FLOW/DEPLOYMENT.
        parameters: Of its flow. Plain values, and never a secret: Prefect keeps them in clear.
        key: What tells two children of the same deployment apart.
        period: The child's; absent: the parent's.

    Raises ChildFailed, StepChanged where the child was started with other parameters, BadInput for no such
    deployment, DeadlinePassed when the parent's time is over (the child goes on).
    """
    tags = [f"{PERIOD_TAG}{period or operation().period}", parent_tag(operation())]
    run = _start(deployment, parameters, tags, _key())
    while _is_bad(run, _standing(run)):
        run = _start(deployment, parameters, tags, _next_key(run))
    run, ended = _wait(run)
    for _ in range(_MOST_UNBEGUN):
        if ended or not _has_not_begun(run):
            break
        run, ended = _wait(_start(deployment, parameters, tags, _next_key(run)))
    return _outcome(deployment, run, ended)


def _key() -> str:
    held, place = operation(), current_step()
    # With the time, since Prefect's server may outlive a ledger, or serve two, whose ids are the same.
    return f"steward/{held.id}/{held.round}/{place.name}/{place.key}/{tries().first_at.timestamp():.6f}"


def _next_key(ended: FlowRun) -> str:
    # One link more in a chain: whoever finds that run ended starts this one, and nobody another.
    return f"{_key()}/after/{ended.id}"


def _start(deployment: str, parameters: Mapping[str, Any], tags: list[str], idempotency_key: str) -> FlowRun:
    plain = to_jsonable_python(dict(parameters))
    with prefect_client() as client:
        run = client.create_flow_run_from_deployment(
            _id_of(client, deployment), parameters=plain, tags=tags, idempotency_key=idempotency_key
        )
    differing = sorted(name for name, value in plain.items() if run.parameters.get(name) != value)
    if differing:
        raise StepChanged(
            f"run {run.id} of {deployment} was started with other values of {', '.join(differing)}",
            hint=f"begin another round: `python -m steward.operations reopen {operation().id} --anew`",
        )
    return run


def _id_of(client: SyncPrefectClient, deployment: str) -> UUID:
    try:
        return client.read_deployment_by_name(deployment).id
    except ObjectNotFound:
        raise BadInput(
            f"there is no deployment {deployment}", hint="expected FLOW/DEPLOYMENT of one that is deployed"
        ) from None


def check_deployed(deployment: str) -> None:
    """BadInput where there is no such deployment: better before a parent does anything than when it starts a child."""
    with prefect_client() as client:
        _id_of(client, deployment)


def _standing(run: FlowRun) -> Standing | None:
    """How the operation stands that *run* has held, or came too late for."""
    known = operation_id_for(ledger(), run)
    return standing(ledger(), known) if known else None


def _is_bad(run: FlowRun, ended: Standing | None) -> bool:
    if ended is not None:
        return ended.state in ("failed", "undone")
    return run.state is not None and run.state.is_final() and not run.state.is_completed()


def _has_not_begun(run: FlowRun) -> bool:
    """Whether it crashed before it did anything: before its process began, or before that claimed its operation."""
    return bool(run.state and run.state.is_crashed() and (not run.run_count or run.state.name == UNCLAIMED))


def _wait(run: FlowRun) -> tuple[FlowRun, Standing | None]:
    """The run and its operation, once there is nothing more to wait for."""
    while True:
        found = _standing(run)
        if found and not found.is_open:
            return run, found
        if not found:
            run = _read(run)
            found = _standing(run)
            if not found and run.state is not None and run.state.is_final():
                return run, None
        keep_waiting()
        time.sleep(POLL_SECONDS)


def _read(run: FlowRun) -> FlowRun:
    try:
        with prefect_client() as client:
            return client.read_flow_run(run.id)
    except PrefectAway:
        # The child may be at work all the same, and will be found when the server is back.
        return run


def _outcome(deployment: str, run: FlowRun, ended: Standing | None) -> Child:
    if ended and ended.state == "done":
        return Child(
            deployment=deployment,
            flow_run_id=str(run.id),
            operation_id=ended.id,
            verdict=ended.verdict,
            result=ended.result,
        )
    if not ended and run.state and run.state.is_completed():
        return Child(deployment=deployment, flow_run_id=str(run.id), operation_id=None, verdict=None, result=None)
    said = (
        f"{ended.state}: {ended.error}"
        if ended
        else f"{run.state and run.state.name}: {run.state and run.state.message}"
    )
    raise ChildFailed(
        f"{deployment}, run {run.id}, ended {said}",
        hint="mend what it says; a new run of the parent gives it one more run"
        + (f": `python -m steward.operations show {ended.id}`" if ended else ""),
    )
