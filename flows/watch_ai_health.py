"""Tell how the providers of AI are: now, since when, for how much of the last day and month, and what users met.

Failure semantics: it reads and changes nothing, and is no operation of the ledger, so that it tells what providers answer
while the database is away, too. An account that is down, or refuses our key, ends the run Failed, REFUTED; one that
nobody could ask, a watch that is silent, or a database that is away ends it Failed, UNKNOWN. The alarm is the watch's, not this.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict, Field

from steward.ai.health_report import HealthReport, ProvidersNotWell
from steward.settings import load
from steward.verdicts import Verdict
from tasks.provider_health import ask_providers, in_time, publish_health, read_watch


class HealthRequest(BaseModel):
    """Whether to ask the providers, or to tell only what the watch saw."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Health of AI providers")

    probe_now: bool = Field(
        default=True,
        title="Ask now",
        description="Ask each account now, unbilled. Off: only what the watch saw, within the last half minute if it is well.",
    )


# One frozen request: the form's defaults.
NOW = HealthRequest()


@flow(name="watch-ai-health", flow_run_name="AI health", timeout_seconds=60, persist_result=False)
def watch_ai_health(request: HealthRequest = NOW) -> HealthReport | State[Any]:
    """Ask and read side by side, so that the report is there within 5 s, whatever hangs."""
    if not load().providers:
        return Completed(name="NothingToTell", message="the settings name no provider of AI")
    asked = ask_providers.submit() if request.probe_now else None
    history = in_time(read_watch.submit())
    report = publish_health(asked.result() if asked else [], history)
    if report.verdict is not Verdict.VERIFIED:
        raise ProvidersNotWell(report)
    return report
