"""Explain days of one account: what its provider bills for each, against what the ledger has.

Failure semantics: a day that could not be had (a provider that does not answer, a page cut short, an hour that is not sealed,
a price that nobody knows) is entered as UNKNOWN with its reason, and the others are explained all the same; the run then ends
Failed, UNKNOWN. What a day came to is no failure of this run: it is the reconciliation's to judge. Killed anywhere, a new run
goes on with the day in flight; what was read once under a name is never read again under it.
"""

from __future__ import annotations

import datetime as dt

from prefect import flow
from prefect.logging import get_run_logger

from steward.costs.day_report import DaysNotKnown, DaysReport, KeptDay
from steward.costs.kept import Register
from steward.costs.planning import DaysRequest
from steward.errors import StewardError
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.cost_days import conclude_days, explain_day, keep_unknown, read_pages, register_account_keys
from tasks.durable import durable, recorded


@flow(name="reconcile-days", flow_run_name="{request.account} from {request.days[0]}", persist_result=False)
# Not a name that a reconciliation of the same days could have: it holds its own while it waits for this.
@durable(
    subject="{request.subject}", resource="ai-costs-days/{request.subject}", terms=Terms(deadline_seconds=3 * 3600)
)
def reconcile_days(request: DaysRequest) -> DaysReport:
    """Read each day, and find the cause of every cent."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_days) or _report(request)
    if report.verdict is not Verdict.VERIFIED:
        raise DaysNotKnown(report)
    return report


def _report(request: DaysRequest) -> DaysReport:
    try:
        register = register_account_keys(request.account)
    except StewardError as error:
        # Without it the gateway's own traffic would count as somebody else's.
        return conclude_days(request, (), tuple(_unknown(request, day, error) for day in request.days))
    return conclude_days(request, register.untold, tuple(_day(request, day, register) for day in request.days))


def _day(request: DaysRequest, day: dt.date, register: Register) -> KeptDay:
    try:
        return explain_day(read_pages(request.account, day, request.reading), register, final=request.final)
    except StewardError as error:
        return _unknown(request, day, error)


def _unknown(request: DaysRequest, day: dt.date, error: StewardError) -> KeptDay:
    get_run_logger().error("%s on %s is UNKNOWN: %s", request.account, day, error)
    return keep_unknown(request.account, day, request.reading, error.message)
