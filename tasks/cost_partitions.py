"""Runs that explain days, as the reconciliation that started them sees them."""

from __future__ import annotations

from prefect.futures import PrefectFuture

from steward.costs.day_report import DaysReport
from steward.costs.planning import DaysRequest
from steward.costs.report import DaysOutcome, NotHad
from steward.verdicts import Verdict
from tasks.children import Child, ChildFailed
from tasks.durable import operation


def partition_key(request: DaysRequest) -> str:
    """What tells the runs of one reconciliation apart."""
    return request.subject


def partition_period() -> str:
    """Another round of the reconciliation explains its days anew, though not from other pages."""
    held = operation()
    named = f"{held.name} {held.subject} {held.period}"
    return named if held.round == 1 else f"{named} round {held.round}"


def outcome(request: DaysRequest, run: PrefectFuture[Child]) -> DaysOutcome:
    """What the run came to. Raises what stops the reconciliation itself."""
    try:
        report = DaysReport.model_validate(run.result().result)
    except ChildFailed as failed:
        lacking = tuple(NotHad(account=request.account, day=day, reason=failed.message) for day in request.days)
        return DaysOutcome(not_had=lacking)
    return DaysOutcome(
        not_had=tuple(
            NotHad(account=request.account, day=each.day, reason=each.reason or "nobody said why")
            for each in report.days
            if each.verdict is Verdict.UNKNOWN
        ),
        untold=tuple(f"{request.account}: {each}" for each in report.untold),
    )
