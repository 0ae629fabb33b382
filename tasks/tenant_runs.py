"""Runs that prove tenants: as the night that started them sees them, and as they see the night."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Generator
from contextlib import contextmanager

from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict

from steward.errors import StewardError, Unavailable
from steward.operations.errors import Superseded
from steward.operations.following import wants_children
from steward.operations.steps import Kind
from steward.snapshots.checked import Attempt, Checked, Plan
from steward.snapshots.moments import keep_open
from steward.snapshots.parts import NightOver, TenantsProved, TenantsRequest, failed_check, narrowed
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.taking import KEEP_OPEN_SECONDS, SnapshotTaken
from tasks.children import Child, ChildFailed
from tasks.durable import ledger, operation, recorded_by, step
from tasks.night_plan import check_preconditions
from tasks.snapshots import begin_attempt, create_snapshot, production


def part_requests(policy: SnapshotPolicy, attempt: Attempt, plan: Plan, number: int) -> list[TenantsRequest]:
    """What is asked of the runs of batch *number*."""
    night = operation()
    return [
        TenantsRequest(
            policy=policy,
            operation=night.id,
            round=night.round,
            moment=attempt.moment,
            batch=number,
            tenants=tenants,
        )
        for tenants in plan.parts[number]
    ]


def part_key(request: TenantsRequest) -> str:
    """What tells the runs of one night apart."""
    return f"{request.moment}/{request.batch}/{request.subject}"


def part_period(attempt: Attempt) -> str:
    """Another round or another snapshot is proved by other operations."""
    night = operation()
    return f"{night.name} {night.subject} {night.period} round {night.round} moment {attempt.moment}"


def outcome(request: TenantsRequest, run: PrefectFuture[Child]) -> list[Checked]:
    """What the run found. One that failed says nothing of its tenants: they are UNKNOWN, and the others go on.

    Raises what stops the night itself.
    """
    try:
        return TenantsProved.model_validate(run.result().result).checks
    except (ChildFailed, Unavailable) as failed:
        return [failed_check(request.tenants, failed)]


@contextmanager
def kept_open(policy: SnapshotPolicy, taken: SnapshotTaken) -> Generator[None]:
    """Points in time stay open, however long runs wait for a worker: none of them knows the others' tenants."""
    over, log = threading.Event(), get_run_logger()

    def keep() -> None:
        while True:
            try:
                with production(policy) as source:
                    keep_open(source, taken.before.joined(taken.moments))
            except Superseded:
                return
            except StewardError as error:
                # They live for half an hour: there are some more tries.
                log.warning("points in time were not kept open: %s", error)
            if over.wait(KEEP_OPEN_SECONDS):
                return

    # With what this thread holds: a thread does not inherit it.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(keep,), name="points in time", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Part(BaseModel):
    """A run's share of a night: its tenants, and what was taken of them."""

    model_config = ConfigDict(frozen=True)

    attempt: Attempt
    taken: SnapshotTaken
    batch: list[TenantSize]


@step("read night", kind=Kind.ALWAYS)
def read_part(request: TenantsRequest) -> Part:
    """What the night has recorded. Raises NightOver: its points in time are closed then, and nobody asks any more."""
    asked, moment = (request.operation, request.round), str(request.moment)
    attempt = recorded_by(*asked, begin_attempt, moment)
    plan = recorded_by(*asked, check_preconditions, moment)
    taken = recorded_by(*asked, create_snapshot, moment)
    if not (attempt and plan and taken and wants_children(ledger(), *asked)):
        raise NightOver(
            f"operation {request.operation} does not wait for its tenants to be proved in round {request.round}",
            hint="nothing to do: the night has ended, or begun anew; see `python -m steward.operations show "
            f"{request.operation}`",
        )
    batch = request.sizes(plan)
    return Part(attempt=attempt.model_copy(update={"snapshot": taken.name}), taken=narrowed(taken, batch), batch=batch)
