"""The watch's loop over Prefect: what nobody holds is taken up by a new run, and dead runs are shown as what they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from prefect.client.schemas.objects import FlowRun, StateType

from services.watch.journal import Reminder, say
from services.watch.runs import DeploymentGone, PrefectAway, RunRefused, Runs, as_seen, connected, event_of
from services.watch.situation import Every, Situation
from steward.errors import StewardError
from steward.operations import abandoned
from steward.operations.alarms import mark_sent, unsent_alarms
from steward.operations.expectations import Expectation
from steward.operations.reaping import Abandoned, Act, Decision, RunSeen, is_orphan, plan_takeover
from steward.operations.schedule import known_periods

POLL_SECONDS = 1.0
_SCAN_EVERY_SECONDS = 5.0
_TIDY_EVERY_SECONDS = 15.0
#: A run's process has this long to tell Prefect its end itself.
TIDY_AFTER_SECONDS = 60.0
_REMIND_SECONDS = 24 * 3600.0
#: tasks.durable.PERIOD_TAG, which this package may not import without importing flows' dependencies.
PERIOD_TAG = "period:"
OPERATION_TAG = "operation:"
_FOR_EVER = timedelta(days=365).total_seconds()
# How Prefect shows a run whose attempt ended so. One that waits is shown as it is.
_SHOWN = {
    "done": "COMPLETED",
    "not verified": "FAILED",
    "failed": "FAILED",
    "undone": "FAILED",
    "released": "CRASHED",
    "superseded": "CRASHED",
    "lost": "CRASHED",
}


class Reaper:
    """One loop. Two of them side by side do no harm: idempotency keys make one run of two, tokens one holder."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._ledger = situation.ledger
        self._patience = situation.ledger.settings.operations.pending_seconds
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
            pending = runs.in_state(StateType.PENDING)
            self._answers()
            if not self._at.database:
                self._send_alarms(runs)
            if self._at.is_settled and self._is_steady:
                self._free(runs, pending)
        if self._at.is_settled and self._is_steady and self._tidy:
            self._show_ends(runs)
            self._take_up_retries(runs)
            self._drop_skipped(runs)
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

    # -- operations that nobody holds

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
        # The same until it is recorded, so a watch killed between the two makes no second run.
        parts = operation.id, operation.round, operation.attempt + 1, operation.token, operation.dispatches
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

    # -- runs whose process is gone

    def _free(self, runs: Runs, pending: list[FlowRun]) -> None:
        now = self._at.now
        deployed = [run for run in pending if run.deployment_id]
        old = [run for run in deployed if is_orphan(as_seen(run), now, self._patience, is_ledgered=True)]
        if not old:
            return
        known = abandoned.known_runs(
            self._ledger, [str(run.id) for run in old], [str(run.deployment_id) for run in old]
        )
        expected = self._expected_deployments(runs)
        for run in old:
            seen = as_seen(run)
            is_ledgered = seen.deployment_id in known.deployments or seen.deployment_id in expected
            if seen.id not in known.runs and is_orphan(seen, now, self._patience, is_ledgered=is_ledgered):
                # Another ledger's replacement tells so by its tag.
                tagged = any(tag.startswith(OPERATION_TAG) for tag in run.tags)
                self._replace(runs, run, is_dispatched=tagged or seen.id in known.replacements)

    def _expected_deployments(self, runs: Runs) -> dict[str, Expectation]:
        found: dict[str, Expectation] = {}
        for expectation in self._at.expectations:
            try:
                found[runs.deployment_id(expectation.deployment)] = expectation
            except DeploymentGone:
                continue
        return found

    def _replace(self, runs: Runs, run: FlowRun, *, is_dispatched: bool) -> None:
        told = f"PENDING for more than {self._patience:g} s without a process; replaced by a new run"
        new = None
        if not is_dispatched:
            # Before the orphan's end, so a watch killed between the two loses nothing. What was made for an
            # operation's next attempt is made again from the ledger.
            new = runs.create(
                str(run.deployment_id),
                key=f"steward/pending/{run.id}",
                name=run.name,
                parameters=run.parameters,
                tags=run.tags,
                # A period that comes from the scheduled time stays the same.
                at=run.expected_start_time,
            )
        runs.end(str(run.id), "CRASHED", told)
        self._at.acts["freed"] += 1
        say("freed", run=run.id, named=run.name, replacement=new, because="PENDING without a process")

    def _show_ends(self, runs: Runs) -> None:
        before = self._at.now - timedelta(seconds=TIDY_AFTER_SECONDS)
        running = [each for each in map(as_seen, runs.in_state(StateType.RUNNING)) if each.since < before]
        if not running:
            return
        ended = abandoned.ended_runs(self._ledger, [each.id for each in running], TIDY_AFTER_SECONDS)
        for run_id, how in ended.items():
            if shown := _SHOWN.get(how):
                runs.end(run_id, shown, f"by the ledger ({how}): its process ended before it could report")
                self._at.acts["tidied"] += 1
                say("tidied", run=run_id, shown=shown, ledger=how)

    def _take_up_retries(self, runs: Runs) -> None:
        """A run whose process died while it waited for Prefect's own retry: nobody else would try again."""
        before = self._at.now - timedelta(seconds=TIDY_AFTER_SECONDS)
        for run in map(as_seen, runs.named("AwaitingRetry")):
            if (run.expected_at or run.since) < before and (named := abandoned.make_due(self._ledger, run.id)):
                runs.end(run.id, "CRASHED", "its process died before its retry; the ledger takes it up")
                say("due", operation=named[0], run=run.id, because="its process died before its retry")

    def _drop_skipped(self, runs: Runs) -> None:
        """Late runs of periods that are recorded as skipped: their schedule made them before they were missed."""
        now = self._at.now
        for deployment_id, expectation in self._expected_deployments(runs).items():
            late = [
                run
                for run in runs.scheduled_for(deployment_id, now - timedelta(days=30), now - expectation.grace)
                if as_seen(run).type == "SCHEDULED"
            ]
            ticks = {str(run.id): run.expected_start_time for run in late if run.expected_start_time}
            known = known_periods(self._ledger, expectation, ticks.values()) if ticks else {}
            for run_id, tick in ticks.items():
                row = known.get(expectation.period_of(tick))
                # Of the very tick: one that a person asked for at another moment is not the schedule's.
                if row and row.state == "skipped" and row.due_at == tick:
                    period = expectation.period_of(tick)
                    runs.end(run_id, "CANCELLED", f"{period} was missed and is skipped", name="Skipped")
                    say("dropped", operation=expectation, period=period, run=run_id, because="its period is skipped")

    # -- the dead man's switch

    def _send_alarms(self, runs: Runs) -> None:
        for alarm in unsent_alarms(self._ledger):
            runs.emit(event_of(alarm))
            mark_sent(self._ledger, alarm["id"])
            say("told prefect", alarm=alarm["event"], operation=f"{alarm['name']} {alarm['subject']}")
