"""The watch's loop over Prefect: what nobody holds is taken up by a new run, and dead runs are shown as what they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from prefect.client.schemas.objects import StateType

from services.watch.journal import Reminder, say
from services.watch.runs import DeploymentGone, PrefectAway, RunRefused, Runs, as_seen, connected, event_of
from services.watch.situation import Every, Situation
from services.watch.tidying import OPERATION_TAG, PERIOD_TAG, Tidying
from steward.errors import StewardError
from steward.operations import abandoned
from steward.operations.alarms import mark_sent, unsent_alarms
from steward.operations.expectations import Expectation
from steward.operations.reaping import Abandoned, Act, Decision, RunSeen, plan_takeover

POLL_SECONDS = 1.0
_SCAN_EVERY_SECONDS = 5.0
_TIDY_EVERY_SECONDS = 15.0
_REMIND_SECONDS = 24 * 3600.0
_FOR_EVER = timedelta(days=365).total_seconds()


class Reaper:
    """One loop. Two of them side by side do no harm: idempotency keys make one run of two, tokens one holder."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._ledger = situation.ledger
        self._patience = situation.ledger.settings.operations.pending_seconds
        self._tidying = Tidying(situation)
        self._reminder = Reminder(_REMIND_SECONDS)
        self._scan, self._tidy = Every(_SCAN_EVERY_SECONDS), Every(_TIDY_EVERY_SECONDS)
        self._answers_since: float | None = None

    def run(self) -> None:
        """Round after round until the watch is told to stop; a new client after each failure."""
        while not self._at.stopped.is_set():
            self._guarded(self._rounds)
            self._at.stopped.wait(POLL_SECONDS)

    def _rounds(self) -> None:
        with connected() as runs:
            while not self._at.stopped.is_set():
                self.round(runs)
                self._at.stopped.wait(POLL_SECONDS)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except PrefectAway as error:
            self._answers_since = None
            self._at.prefect = error.message
            if self._reminder.is_news("prefect", "away"):
                say("prefect away", reason=error.message, hint=error.hint or None)
        except StewardError as error:
            # The ledger's: its own loop says so.
            if self._reminder.is_news("round", type(error).__name__):
                say("reaping waits", reason=error.message)
        except Exception as error:  # noqa: BLE001  a fault in one round must not end the watch
            if self._reminder.is_news("round", f"{type(error).__name__}: {error}"):
                say("round failed", reason=f"{type(error).__name__}: {error}")
        self._at.rounds["prefect"] = time.monotonic()

    def round(self, runs: Runs) -> None:
        """Everything once that is due."""
        if self._at.is_settled:
            self._reap(runs)
        if self._scan:
            # A page of each: runs that are long at work must not hide those that never began.
            begun = [run for kind in (StateType.PENDING, StateType.RUNNING) for run in runs.in_state(kind)]
            self._answers()
            if not self._at.database:
                self._send_alarms(runs)
            if self._at.is_settled and self._is_steady:
                self._tidying.free(runs, begun)
        if self._at.is_settled and self._is_steady and self._tidy:
            self._tidying.tidy(runs)
        self._reminder.forget("round")
        self._at.rounds["prefect"] = time.monotonic()

    def _answers(self) -> None:
        if self._answers_since is None:
            self._answers_since = time.monotonic()
        if self._at.prefect:
            say("prefect answers")
            self._at.prefect = ""
            self._reminder.forget("prefect")

    @property
    def _is_steady(self) -> bool:
        """Whether Prefect has answered for so long that a run which still says nothing has no process."""
        return self._answers_since is not None and time.monotonic() - self._answers_since > self._patience

    def _reap(self, runs: Runs) -> None:
        operations = abandoned.abandoned_operations(self._ledger)
        if not operations:
            return
        seen = runs.seen(each for op in operations for each in (op.flow_run_id, op.next_run_id) if each)
        for operation in operations:
            if self._at.stopped.is_set() or not self._at.is_settled:
                return
            self._decide(runs, operation, seen)

    def _decide(self, runs: Runs, operation: Abandoned, seen: dict[str, RunSeen]) -> None:
        old, replacement = seen.get(operation.flow_run_id or ""), seen.get(operation.next_run_id or "")
        patience = self._patience if self._is_steady else _FOR_EVER
        try:
            operation = self._with_deployment(runs, operation)
            decision = plan_takeover(operation, old, replacement, self._at.now, patience)
            if decision.act is Act.RESUME:
                self._resume(runs, operation, old, replacement, decision.reason)
        except (DeploymentGone, RunRefused) as error:
            decision = Decision(Act.FAIL, " HINT: ".join(part for part in (error.message, error.hint) if part))
        if decision.act in (Act.FAIL, Act.CANCEL):
            self._give_up(runs, operation, old, decision)

    def _with_deployment(self, runs: Runs, operation: Abandoned) -> Abandoned:
        """A missed operation never had a run: what is expected names its deployment."""
        expectation = self._expectation(operation)
        if operation.deployment_id or expectation is None:
            return operation
        return replace(operation, deployment_id=runs.deployment_id(expectation.deployment))

    def _expectation(self, operation: Abandoned) -> Expectation | None:
        named = operation.name, operation.subject
        return next((each for each in self._at.expectations if (each.name, each.subject) == named), None)

    def _resume(
        self, runs: Runs, operation: Abandoned, old: RunSeen | None, replacement: RunSeen | None, reason: str
    ) -> None:
        for dead in (old, replacement):
            if dead is not None and not dead.is_final and operation.state != "due":
                runs.end(dead.id, "CRASHED", f"{reason}; resumed in a new run")
        run_id, deployment_id = self._scheduled(runs, operation) or self._made(runs, operation)
        if abandoned.record_dispatch(self._ledger, operation, run_id, deployment_id):
            self._at.acts["resumed"] += 1
            attempt = f"{operation.attempt + 1}/{operation.dispatches}"
            say("resumed", operation=operation, id=operation.id, attempt=attempt, run=run_id, because=reason)

    def _scheduled(self, runs: Runs, operation: Abandoned) -> tuple[str, str] | None:
        """The run that Prefect's schedule has made for a missed tick, if it may still begin: it is not doubled."""
        if self._expectation(operation) is None or operation.attempt or not operation.due_at or operation.dispatches:
            return None
        deployment_id = str(operation.deployment_id)
        made = runs.scheduled_for(deployment_id, operation.due_at, operation.due_at)
        waiting = [run for run in made if not as_seen(run).is_final]
        return (str(waiting[0].id), deployment_id) if waiting else None

    def _made(self, runs: Runs, operation: Abandoned) -> tuple[str, str]:
        deployment_id = str(operation.deployment_id)
        # The same until it is recorded, so a watch killed between the two makes no second run. Numbers begin anew in a
        # ledger that was laid anew beside the same Prefect; the time of the operation's making does not.
        made = f"{operation.created_at.timestamp():.6f}"
        parts = operation.id, made, operation.round, operation.attempt + 1, operation.token, operation.dispatches
        run_id = runs.create(
            deployment_id,
            key="/".join(("steward", *map(str, parts))),
            name=f"{operation} #{operation.attempt + 1}",
            parameters=operation.parameters,
            tags=[f"{PERIOD_TAG}{operation.period}", f"{OPERATION_TAG}{operation.id}"],
        )
        return run_id, deployment_id

    def _give_up(self, runs: Runs, operation: Abandoned, old: RunSeen | None, decision: Decision) -> None:
        state = "failed" if decision.act is Act.FAIL else "cancelled"
        if not abandoned.give_up(self._ledger, operation, state, decision.reason):
            return
        self._at.acts[state] += 1
        say(state, operation=operation, id=operation.id, attempt=operation.attempt, because=decision.reason)
        if old is not None and not old.is_final and not old.is_cancelled and operation.state != "due":
            runs.end(old.id, "CRASHED", decision.reason)

    def _send_alarms(self, runs: Runs) -> None:
        for alarm in unsent_alarms(self._ledger):
            runs.emit(event_of(alarm))
            mark_sent(self._ledger, alarm["id"])
            say("told prefect", alarm=alarm["event"], operation=f"{alarm['name']} {alarm['subject']}")
