"""What to do about an operation that nobody holds, and about a run whose process is gone: decisions only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

#: Names that our own flows give to Cancelled: nobody asked for the end of the operation.
OWN_CANCELS = ("Skipped", "Superseded")
_CANCELS = ("CANCELLED", "CANCELLING")
_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
#: A worker that has begun a process may be fetching an image or importing: this many times the patience without one.
_STARTING_FACTOR = 10


@dataclass(frozen=True)
class Abandoned:
    """An operation of the ledger without a holder: expired, released, due or waiting."""

    id: int
    name: str
    subject: str
    period: str
    state: str
    token: int
    round: int
    attempt: int
    lost: int
    """Attempts of this round that died, since a person last reopened it."""
    max_attempts: int
    dispatches: int
    created_at: datetime
    lease_seconds: float
    lease_until: datetime | None
    due_at: datetime | None
    deadline: datetime | None
    resume_after: datetime | None
    flow_run_id: str | None
    next_run_id: str | None
    deployment_id: str | None
    parameters: dict[str, Any]

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.subject, self.period) if part)


@dataclass(frozen=True)
class RunSeen:
    """A flow run as Prefect shows it."""

    id: str
    name: str
    type: str
    """Of its state: SCHEDULED, PENDING, RUNNING, PAUSED, CANCELLING, COMPLETED, FAILED, CRASHED, CANCELLED."""
    state_name: str
    since: datetime
    """When it entered that state."""
    expected_at: datetime | None = None
    """When it is to start, where it is SCHEDULED; else when it was."""
    began: bool = False
    """Whether it has ever been RUNNING."""
    has_process: bool = False
    """Whether a worker has recorded a process, container or job for it."""
    deployment_id: str | None = None

    @property
    def is_final(self) -> bool:
        return self.type in _FINAL

    @property
    def is_cancelled(self) -> bool:
        """Whether a person cancelled it."""
        return self.type in _CANCELS and self.state_name not in OWN_CANCELS


class Act(StrEnum):
    """What becomes of an abandoned operation."""

    WAIT = "wait"
    RESUME = "resume"
    FAIL = "fail"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Decision:
    """What to do, and why, as it is recorded and logged."""

    act: Act
    reason: str


def plan_takeover(
    operation: Abandoned, old: RunSeen | None, replacement: RunSeen | None, now: datetime, patience_seconds: float
) -> Decision:
    """What to do about *operation*.

    Args:
        operation: As the ledger has it.
        old: The run of its last attempt; None: Prefect has none.
        replacement: The run that was last made for its next attempt; None: none was, or it is gone.
        now: By the ledger's clock.
        patience_seconds: How long a run may take from one state to the next before it is taken for dead.
    """
    # A due operation has been asked for again, whatever became of its earlier run.
    last = None if operation.state == "due" else old
    if any(run is not None and run.is_cancelled for run in (last, replacement)):
        return Decision(Act.CANCEL, "its run was cancelled")
    if given_up := _why_given_up(operation, last, now):
        return Decision(Act.FAIL, given_up)
    if waits_for := _why_left(operation, last, replacement, now, patience_seconds):
        return Decision(Act.WAIT, waits_for)
    if operation.deployment_id is None:
        told = "its run had no deployment, so no new one can be made; HINT: start its flow again by hand"
        return Decision(Act.FAIL, told)
    return Decision(Act.RESUME, _why_resumed(operation))


def _why_left(
    operation: Abandoned, old: RunSeen | None, replacement: RunSeen | None, now: datetime, patience_seconds: float
) -> str | None:
    if operation.state == "waiting" and old is not None and _may_be_answered(old, now, patience_seconds, operation):
        return "for a person's answer"
    if operation.resume_after and now < operation.resume_after:
        return "for its turn: the run made for it before has just ended"
    if old is not None and _comes_by_itself(old, now, patience_seconds):
        return "Prefect is about to run it again itself"
    # A claim may wait as long as a lease for a holder that is dead.
    if replacement is not None and _is_on_its_way(replacement, now, patience_seconds, operation.lease_seconds):
        return "its replacement has not claimed it yet"
    return None


def _why_given_up(operation: Abandoned, old: RunSeen | None, now: datetime) -> str | None:
    is_late = operation.state != "due" and operation.deadline is not None and now > operation.deadline
    if operation.state == "waiting" and (is_late or (old is not None and old.type == "FAILED")):
        return "nobody answered in time; HINT: `reopen` lets its flow turn back or end, `reopen --anew` asks again"
    if is_late:
        return (
            f"its deadline of {operation.deadline:%Y-%m-%d %H:%M:%S %Z} passed in state {operation.state} "
            f"after {operation.attempt} attempts; HINT: `reopen` gives it all its time again"
        )
    if operation.lost >= operation.max_attempts:
        return f"{operation.lost} attempts died; HINT: read the log of its last run before you `reopen` it"
    if operation.dispatches >= 2 * operation.max_attempts:
        return f"{operation.dispatches} runs ended before they claimed it; HINT: does its deployment still import?"
    return None


def _why_resumed(operation: Abandoned) -> str:
    if operation.state == "running":
        return f"attempt {operation.attempt} lost its lease at {operation.lease_until:%H:%M:%S %Z}"
    if operation.state == "waiting":
        return "its run died while it waited, or when it was answered"
    return f"due since {operation.due_at:%Y-%m-%d %H:%M:%S %Z}" if operation.due_at else "its run never claimed it"


def _comes_by_itself(run: RunSeen, now: datetime, patience_seconds: float) -> bool:
    """Whether *run*, whose attempt died, is to start again without us: a retry of Prefect's or of an automation."""
    if run.type == "SCHEDULED":
        return now < (run.expected_at or run.since) + timedelta(seconds=patience_seconds)
    return run.type == "PENDING" and not _is_orphan(run, now, patience_seconds)


def _may_be_answered(run: RunSeen, now: datetime, patience_seconds: float, operation: Abandoned) -> bool:
    if run.type in ("PENDING", "RUNNING"):
        # It has been answered, and is about to claim the operation again.
        return _is_on_its_way(run, now, patience_seconds, operation.lease_seconds)
    return run.type != "CRASHED"


def _is_on_its_way(run: RunSeen, now: datetime, patience_seconds: float, lease_seconds: float) -> bool:
    if run.type == "RUNNING":
        return now < run.since + timedelta(seconds=_claimed_within(patience_seconds, lease_seconds))
    if run.type == "PENDING":
        return not _is_orphan(run, now, patience_seconds)
    # One that no worker has fetched yet is not lost: it waits for a worker.
    return not run.is_final


def _is_orphan(run: RunSeen, now: datetime, patience_seconds: float) -> bool:
    return run.type == "PENDING" and now > run.since + timedelta(seconds=patience_seconds)


def is_orphan(run: RunSeen, now: datetime, patience_seconds: float, *, is_ledgered: bool) -> bool:
    """Whether a PENDING run, which no attempt of the ledger knows, lost its process before that began.

    Where the ledger knows its deployment, a process that begins late after all is refused or finds its work done. Of
    any other, a process that a worker has recorded is given longer.
    """
    factor = 1 if is_ledgered or not run.has_process else _STARTING_FACTOR
    return not run.began and _is_orphan(run, now, factor * patience_seconds)


def is_unclaimed(run: RunSeen, now: datetime, patience_seconds: float, lease_seconds: float) -> bool:
    """Whether a RUNNING run, which no attempt of the ledger knows, lost its process before that claimed anything.

    Of a deployment that the ledger knows. A claim may wait as long as a lease for a holder that is dead.
    """
    return run.type == "RUNNING" and now > run.since + timedelta(
        seconds=_claimed_within(patience_seconds, lease_seconds)
    )


def _claimed_within(patience_seconds: float, lease_seconds: float) -> float:
    return lease_seconds + 2 * patience_seconds
