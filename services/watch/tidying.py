"""Runs whose process is gone, or was never to begin: replaced, or shown in Prefect as what the ledger knows."""

from __future__ import annotations

from datetime import timedelta

from prefect.client.schemas.objects import FlowRun, StateType

from services.watch.journal import say
from services.watch.runs import DeploymentGone, Runs, as_seen
from services.watch.situation import Situation
from steward.operations import abandoned
from steward.operations.expectations import Expectation
from steward.operations.reaping import RunSeen, is_orphan, is_unclaimed
from steward.operations.schedule import known_periods

#: A run's process has this long to tell Prefect its end itself.
TIDY_AFTER_SECONDS = 60.0
OPERATION_TAG = "operation:"
#: tasks.durable.PERIOD_TAG: it says which operation it is, whatever run carries it.
PERIOD_TAG = "period:"
#: tasks.lineage.INSTEAD_TAG, which this package may not import without importing flows' dependencies.
INSTEAD_TAG = "instead-of:"
#: The state of a run that was replaced, for it has claimed no operation: tasks.children.UNCLAIMED.
UNCLAIMED = "Unclaimed"
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


class Tidying:
    """What the reaper does for runs, not for operations. To be asked only while it is settled."""

    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._ledger = situation.ledger
        self._terms = situation.ledger.settings.operations

    def tidy(self, runs: Runs) -> None:
        """Show the ends that Prefect has missed, and take back what it would start in vain."""
        self._show_ends(runs)
        self._take_up_retries(runs)
        self._drop_skipped(runs)

    def free(self, runs: Runs, begun: list[FlowRun]) -> None:
        """Replace runs whose process never began, or was gone before it claimed its operation. *begun*: PENDING and RUNNING ones."""
        old = [run for run in begun if run.deployment_id and self._is_old(as_seen(run))]
        if not old:
            return
        known = abandoned.known_runs(
            self._ledger, [str(run.id) for run in old], [str(run.deployment_id) for run in old]
        )
        expected = self._expected_deployments(runs)
        for run in old:
            seen = as_seen(run)
            is_ledgered = seen.deployment_id in known.deployments or seen.deployment_id in expected
            if seen.id not in known.runs and self._is_lost(seen, is_ledgered=is_ledgered):
                # Another ledger's replacement tells so by its tag.
                tagged = any(tag.startswith(OPERATION_TAG) for tag in run.tags)
                self._replace(runs, run, is_dispatched=tagged or seen.id in known.replacements)

    def _is_old(self, run: RunSeen) -> bool:
        return self._is_lost(run, is_ledgered=True)

    def _is_lost(self, run: RunSeen, *, is_ledgered: bool) -> bool:
        now, patience = self._at.now, self._terms.pending_seconds
        if run.type == "RUNNING":
            return is_ledgered and is_unclaimed(run, now, patience, self._terms.lease_seconds)
        return is_orphan(run, now, patience, is_ledgered=is_ledgered)

    def _expected_deployments(self, runs: Runs) -> dict[str, Expectation]:
        found: dict[str, Expectation] = {}
        for expectation in self._at.expectations:
            try:
                found[runs.deployment_id(expectation.deployment)] = expectation
            except DeploymentGone:
                continue
        return found

    def _replace(self, runs: Runs, run: FlowRun, *, is_dispatched: bool) -> None:
        because = "RUNNING without a claim" if as_seen(run).type == "RUNNING" else "PENDING without a process"
        new = None
        if not is_dispatched:
            # Before the orphan's end, so a watch killed between the two loses nothing. What was made for an
            # operation's next attempt is made again from the ledger.
            new = runs.create(
                str(run.deployment_id),
                key=f"steward/pending/{run.id}",
                name=run.name,
                parameters=run.parameters,
                tags=_tags_instead_of(run),
                # A period that comes from the scheduled time stays the same.
                at=run.expected_start_time,
            )
        runs.end(str(run.id), "CRASHED", f"{because} for too long; replaced by a new run", name=UNCLAIMED)
        self._at.acts["freed"] += 1
        say("freed", run=run.id, named=run.name, replacement=new, because=because)

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


def _tags_instead_of(run: FlowRun) -> list[str]:
    """Where each run is an operation of its own, the orphan is one with its replacement: it may yet begin."""
    named = any(tag.startswith((INSTEAD_TAG, PERIOD_TAG)) for tag in run.tags)
    return run.tags if named else [*run.tags, f"{INSTEAD_TAG}{run.id}"]
