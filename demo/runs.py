"""Runs of deployments, followed through Prefect's API as any operator's tool would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ObjectNotFound

from steward.errors import BadInput, Unavailable

#: Seconds between two looks at a run.
LOOK = 1.0
#: How long after a step's end Prefect's server may write it down, which it does in batches.
WRITTEN_DOWN_SECONDS = 1.5

Say = Callable[[str], None]


def start(client: SyncPrefectClient, deployment: str, parameters: dict[str, Any]) -> FlowRun:
    """A new run of *deployment* (`flow/deployment`)."""
    try:
        found = client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        raise BadInput(
            f"there is no deployment {deployment}", hint="deploy first: python -m deployments.prefect deploy"
        ) from None
    return client.create_flow_run_from_deployment(found.id, parameters=parameters)


def follow(client: SyncPrefectClient, run: UUID, say: Say, timeout_seconds: float) -> FlowRun:
    """Wait until *run* has ended, and *say* each of its steps as it ends.

    Raises:
        Unavailable: it has not ended within *timeout_seconds*; it goes on, and can be followed again.
    """
    told, end = set[UUID](), time.monotonic() + timeout_seconds
    while True:
        # The run's state is read before its steps: those that ended before it ended are then never missed.
        seen = client.read_flow_run(run)
        if is_over := seen.state is not None and seen.state.is_final():
            time.sleep(WRITTEN_DOWN_SECONDS)
        for step in _ended(client, run, told):
            say(describe(step))
        if is_over:
            return seen
        if time.monotonic() > end:
            state = seen.state_name or "without a state"
            raise Unavailable(
                f"run {seen.name} is {state} after {timeout_seconds:g} s", hint="see its logs in the Prefect UI"
            )
        time.sleep(LOOK)


def _ended(client: SyncPrefectClient, run: UUID, told: set[UUID]) -> Iterator[TaskRun]:
    found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])), limit=200)
    ended = [step for step in found if step.state is not None and step.state.is_final() and step.id not in told]
    told.update(step.id for step in ended)
    yield from sorted(ended, key=lambda step: (step.end_time is None, step.end_time))


def describe(step: TaskRun) -> str:
    """A step that has ended: what it took, and its state where that is not Completed."""
    took = step.total_run_time.total_seconds()
    ended = step.state.name if step.state else None
    return f"{took:6.1f} s  {step.name}" + ("" if ended == "Completed" else f"  {ended}")


def artifact(client: SyncPrefectClient, key: str, run: UUID | None = None) -> str | None:
    """The newest markdown under *key*, if any: that *run* left; None: whichever did."""
    left = ArtifactFilterFlowRunId(any_=[run]) if run else None
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=left, key=ArtifactFilterKey(any_=[key])),
        sort=ArtifactSort.CREATED_DESC,
        limit=1,
    )
    return str(found[0].data) if found else None
