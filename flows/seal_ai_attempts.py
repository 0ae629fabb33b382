"""Seal every hour of the ledger of AI attempts that is over: as a file under Object Lock that is proved to hold it.

Failure semantics: a file that comes back otherwise ends the run Failed, REFUTED; the next run stores the hour under another
name, for the first one is locked. A server that stayed away, or an hour whose attempts are not all over, ends it Failed,
UNKNOWN. Either way the evidence says so, no later hour is sealed before an earlier one, and no row leaves the ledger.
Killed anywhere, a new run takes it up at the step in flight.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from steward.ai.sealing import ClosedHour, WaitingHour
from steward.ai.sealing_report import HoursNotSealed, SealingFacts, SealReport
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.sealing_attempts import (
    begin_sealing,
    close_hours,
    conclude_sealing,
    read_hours_back,
    record_sealing_evidence,
    seal_hours,
    show_sealing,
    store_hours,
)


class SealRequest(BaseModel):
    """Every hour that is due, now or beside the schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Sealing of AI attempts")

    label: str = Field(
        default="",
        title="Label",
        description="Empty: the hour's own run. Else one beside it, e.g. after-repair.",
        pattern="^[a-z0-9-]{0,40}$",
    )


# One frozen request: the form's defaults.
DUE = SealRequest()


def _period(request: SealRequest) -> str:
    # The hour in which it runs: it seals those before. A run that starts late keeps its hour.
    hour = f"{flow_run.get_scheduled_start_time().astimezone(UTC):%Y-%m-%dT%HZ}"
    return f"{hour}/{request.label}" if request.label else hour


@flow(name="seal-ai-attempts", flow_run_name="seal AI attempts {request.label}", persist_result=False)
@durable(subject="ai-attempts", period=_period, resource="ai-attempts", terms=Terms(deadline_seconds=3600))
def seal_ai_attempts(request: SealRequest = DUE) -> SealReport:
    """Close the hours that are over, store each, read it back, and enter it as sealed."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_sealing) or _report()
    record_sealing_evidence(report)
    show_sealing(report)
    if report.verdict is not Verdict.VERIFIED:
        raise HoursNotSealed(report)
    return report


def _report() -> SealReport:
    begun = begin_sealing()
    done: dict[str, Any] = {}
    try:
        found = close_hours(begun)
        done["waiting"] = tuple(each for each in found if isinstance(each, WaitingHour))
        stored = store_hours(tuple(each for each in found if isinstance(each, ClosedHour)))
        done["checked"] = checked = read_hours_back(stored)
        # Only now, so that what is called sealed was seen to be the hour.
        done["sealed"] = seal_hours(checked)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the run has a verdict, and the evidence says why
        get_run_logger().exception("not every hour was sealed")
        done["error"] = f"{type(error).__name__}: {error}"
    return conclude_sealing(begun, SealingFacts(**done))
