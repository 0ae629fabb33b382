"""Compare the limits of the gateway's catalog with those that the providers have configured for our accounts.

Failure semantics: it reads and changes nothing but the record of it. A limit of ours above a provider's, one far below it, or
a model that the provider does not list ends the run Failed, REFUTED; an account of which nothing could be read ends it
Failed, UNKNOWN, and the others are compared all the same. The evidence has every figure. Killed anywhere, a new run goes
on with what was read.
"""

from __future__ import annotations

from datetime import UTC

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from steward.ai.limit_drift import AccountLimits, Untold
from steward.ai.limit_report import DriftBegun, DriftReport, LimitsDrifted
from steward.errors import StewardError
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.limit_drift import (
    begin_comparison,
    keep_comparison,
    publish_comparison,
    read_administered,
    read_observed,
    record_comparison,
)


class DriftRequest(BaseModel):
    """The day's comparison, or one beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Limits of AI providers")

    label: str = Field(
        default="",
        title="Label",
        description="Empty: the day's own comparison. Else one beside it, e.g. after-raise.",
        pattern="^[a-z0-9-]{0,40}$",
    )
    least_percent: int = Field(
        default=50,
        title="Least share (percent)",
        description="A limit of ours below this share of the provider's is a finding. 0: ours may be as low as we like.",
        ge=0,
        le=100,
    )


# One frozen request: the form's defaults.
TODAY = DriftRequest()


def _period(request: DriftRequest) -> str:
    # A run that starts late keeps its day.
    day = flow_run.get_scheduled_start_time().astimezone(UTC).date()
    return f"{day}/{request.label}" if request.label else str(day)


@flow(name="limit-drift", flow_run_name="limit drift {request.label}", persist_result=False)
@durable(subject="providers", period=_period, terms=Terms(deadline_seconds=1800))
def limit_drift(request: DriftRequest = TODAY) -> DriftReport:
    """Read ours, ask each provider for theirs, and hold one against the other."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(keep_comparison) or _report(request)
    record_comparison(report)
    publish_comparison(report)
    if report.verdict is not Verdict.VERIFIED:
        raise LimitsDrifted(report)
    return report


def _report(request: DriftRequest) -> DriftReport:
    begun = begin_comparison(request.least_percent)
    return keep_comparison(begun, tuple(_told(begun, account) for account in begun.accounts))


def _told(begun: DriftBegun, account: str) -> AccountLimits | Untold:
    """By its administration, else by what the gateway saw; one that tells nothing leaves the others to be compared."""
    try:
        return read_administered(account)
    except StewardError as error:
        get_run_logger().warning("the administration of %s does not tell its limits: %s", account, error.message)
        why = error.message
    try:
        return read_observed(begun, account, why)
    except StewardError as error:
        return Untold(account=account, reason=f"{why}; and of headers: {error.message}", hint=error.hint)
