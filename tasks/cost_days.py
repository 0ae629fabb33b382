"""The steps of reconciling days of one account: its keys are registered, each day is read, kept, and explained."""

from __future__ import annotations

import datetime as dt

from steward.clients.cost_book import keep_day
from steward.clients.cost_explaining import explain_reading
from steward.clients.cost_pages import store_locked, take_reading
from steward.clients.postgres import connect
from steward.clients.provider_key_register import register_keys
from steward.clients.s3 import open_evidence_bucket
from steward.costs.cells import MINUTE
from steward.costs.day_report import DaysReport, KeptDay, figures_of, state_day
from steward.costs.kept import CostDay, Reading, Register, result_key
from steward.costs.planning import DaysRequest
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Kind
from steward.settings import Settings, load
from steward.verdicts import Verdict
from tasks.durable import operation, step


@step("register keys", run_name="register the keys of {account}", key="{account}")
def register_account_keys(account: str) -> Register:
    """Which of the provider's keys the gateway's are, while vault and provider still have them."""
    settings = load()
    # BadInput where nobody says at which terms providers bill.
    _ = settings.reconciled
    return register_keys(settings, account, fence=fence)


@step("read pages", run_name="read {account} on {day}", key="{account} {day} {reading}")
def read_pages(account: str, day: dt.date, reading: str) -> Reading:
    """What the provider states of the day, minute by minute, each page kept under Object Lock."""
    return take_reading(load(), account, day, reading, operation().id, before_write=guard, fence=fence, bucket=MINUTE)


@step("explain day", run_name="explain {reading.account} on {reading.day}", key="{reading.day}")
def explain_day(reading: Reading, register: Register, *, final: bool) -> KeptDay:
    """Every cent between the ledger and the bill; stored whole, and entered with its figures."""
    settings = load()
    with open_evidence_bucket(settings, before_write=guard) as objects:
        result, tenants = explain_reading(settings, objects, reading, register, final=final)
        body = result.to_json()
        stored = store_locked(settings, objects, result_key(reading.account, reading.day, reading.reading, body), body)
    statement = state_day(result)
    day = CostDay(
        account=reading.account,
        day=reading.day,
        reading=reading.reading,
        verdict=statement.verdict,
        figures=figures_of(statement, tenants),
        result=stored,
        operation_id=operation().id,
    )
    return _keep(settings, day)


@step("keep unknown day", run_name="keep {account} on {day} as UNKNOWN", key="{day}")
def keep_unknown(account: str, day: dt.date, reading: str, reason: str) -> KeptDay:
    """It has no figures, and certainly not those of a day that cost nothing."""
    unknown = CostDay(
        account=account,
        day=day,
        reading=reading,
        verdict=Verdict.UNKNOWN,
        reason=reason,
        operation_id=operation().id,
    )
    return _keep(load(), unknown)


def _keep(settings: Settings, day: CostDay) -> KeptDay:
    with connect(settings) as db:
        fence(db)
        return KeptDay.of(keep_day(db, day))


@step("conclude days", kind=Kind.CLOSING)
def conclude_days(request: DaysRequest, untold: tuple[str, ...], days: tuple[KeptDay, ...]) -> DaysReport:
    """Kept once, whatever a later attempt would read."""
    unknown = any(each.verdict is Verdict.UNKNOWN for each in days)
    return DaysReport(
        account=request.account,
        reading=request.reading,
        verdict=Verdict.UNKNOWN if unknown else Verdict.VERIFIED,
        days=days,
        untold=untold,
    )
