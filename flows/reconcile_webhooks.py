"""Hold what GitHub says that it delivered against the inbox, and bring in what is missing: GitHub does not send it again.

Failure semantics: a delivery that is missing and cannot be read ends the run Failed, REFUTED; GitHub away, a hook that is not
there, a token that may not, or a time that GitHub has forgotten ends it Failed, UNKNOWN. The other sources are reconciled all
the same, the evidence says so, and the next run goes on from what was settled last. What is brought in starts whatever its
arrival would have started, once. Killed anywhere, a new run takes it up at the step in flight.
"""

from __future__ import annotations

from datetime import UTC

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from steward.errors import StewardError
from steward.operations.claims import Terms
from steward.operations.errors import Refused
from steward.verdicts import Verdict
from steward.webhooks.reconciling import Outcome, Report, WebhooksNotReconciled
from tasks.durable import durable, recorded
from tasks.webhook_reconciliation import (
    Begun,
    Brought,
    begin_reconciliation,
    conclude_reconciliation,
    find_missing,
    publish_reconciliation,
    record_reconciliation,
    recover_missing,
)


class ReconcileRequest(BaseModel):
    """Every source, now or beside the schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Reconciliation of webhooks")

    label: str = Field(
        default="",
        title="Label",
        description="Empty: the hour's own run. Else one beside it, e.g. after-outage.",
        pattern="^[a-z0-9-]{0,40}$",
    )


# One frozen request: the form's defaults.
NOW = ReconcileRequest()


def _period(request: ReconcileRequest) -> str:
    # A run that starts late keeps its hour.
    hour = f"{flow_run.get_scheduled_start_time().astimezone(UTC):%Y-%m-%dT%HZ}"
    return f"{hour}/{request.label}" if request.label else hour


@flow(name="reconcile-webhooks", flow_run_name="reconcile webhooks {request.label}", persist_result=False)
@durable(subject="webhooks", period=_period, resource="webhooks", terms=Terms(deadline_seconds=3600))
def reconcile_webhooks(request: ReconcileRequest = NOW) -> Report:
    """Compare each source's list with the inbox, and keep what is missing there."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_reconciliation) or _report()
    record_reconciliation(report)
    publish_reconciliation(report)
    if report.verdict is not Verdict.VERIFIED:
        raise WebhooksNotReconciled(report)
    return report


def _report() -> Report:
    begun = begin_reconciliation()
    return conclude_reconciliation(begun, tuple(_outcome(begun, source) for source in begun.settled))


def _outcome(begun: Begun, source: str) -> Outcome:
    """Of one source; one that does not answer leaves the others to be reconciled."""
    found, brought, error = None, Brought(), ""
    try:
        found = find_missing(begun, source)
        brought = recover_missing(source, found)
    except Refused:
        # By the ledger: this process goes on with nothing.
        raise
    except StewardError as stopped:
        get_run_logger().warning("%s is not reconciled: %s", source, stopped)
        error = str(stopped).replace("\n", "; ")
    return Outcome(
        source=source,
        found=found,
        recovered=brought.recovered,
        unreadable=brought.unreadable,
        error=error,
        settled=begun.settled[source],
    )
