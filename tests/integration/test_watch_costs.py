"""What the watch tells Prometheus of costs: the newest statements, budgets and stops; nothing for what is not known."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from replica import inventory
from services.watch.cost_metrics import CostCollector
from services.watch.costs import Costs
from services.watch.situation import Situation
from steward.clients.cost_book import keep_statement, raise_alert
from steward.clients.postgres import connect
from steward.costs.budgets.spending import Scope
from steward.costs.kept import ALL, BudgetAlert, CostStatement, StoredObject
from steward.migrations.apply import migrate
from steward.operations.ledger import Ledger
from steward.settings import Costs as Described
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.fresh_database import changed, fresh_database

pytestmark = pytest.mark.without_search

SOMEWHERE = StoredObject(object_key="ai-costs/statements/x", version_id="v", sha256="a" * 64)
FIGURES = {"ledger": "10.5", "billed": "10.625", "payable": None, "variance": "0.125", "unexplained": "-0.000001"}
# An operation states a subject's period once.
_operations = itertools.count(1)


@pytest.fixture
def settings(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh.model_copy(update={"costs": Described()})


def stated(settings, first, last=None, *, subject=ALL, verdict=Verdict.VERIFIED, **figures):
    known = verdict is not Verdict.UNKNOWN
    statement = CostStatement(
        subject=subject,
        first_day=dt.date(2026, 9, first) if isinstance(first, int) else first,
        last_day=dt.date(2026, 9, last or first) if isinstance(first, int) else last,
        verdict=verdict,
        figures={**FIGURES, **figures} if known else None,
        result=SOMEWHERE,
        operation_id=next(_operations),
    )
    with connect(settings) as db:
        keep_statement(db, statement)


def seen(settings):
    """Samples by name and labels, after a round."""
    situation = Situation(Ledger(settings, patience_seconds=0), [])
    Costs(situation).round()
    registry = CollectorRegistry()
    registry.register(CostCollector(situation))
    lines = generate_latest(registry).decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("steward_costs_"): float(value) for name, value in found.items()}


def test_the_newest_day_and_month_of_each_subject_are_told(settings) -> None:
    stated(settings, 1, 30, ledger="300")
    stated(settings, 4)
    stated(settings, 5, ledger="11")
    # The fourth once more, after the fifth.
    stated(settings, 4, ledger="12", verdict=Verdict.REFUTED)
    stated(settings, 2, subject="openai", billed="7")
    found = seen(settings)
    assert found['ledger_dollars{period="day",subject="all"}'] == 11
    assert found['ledger_dollars{period="month",subject="all"}'] == 300
    assert found['billed_dollars{period="day",subject="openai"}'] == 7
    assert found['variance_dollars{period="day",subject="all"}'] == 0.125
    assert found['unexplained_dollars{period="day",subject="all"}'] == -0.000001
    assert found['verdict{period="day",subject="all",verdict="VERIFIED"}'] == 1
    assert found['verdict{period="day",subject="all",verdict="REFUTED"}'] == 0
    ended = dt.datetime(2026, 9, 6, tzinfo=dt.UTC).timestamp()
    assert found['period_end_timestamp_seconds{period="day",subject="all"}'] == ended
    assert 'stated_timestamp_seconds{period="day",subject="all"}' in found


def test_the_newest_statement_of_a_day_counts(settings) -> None:
    stated(settings, 5, ledger="11")
    stated(settings, 5, ledger="12", verdict=Verdict.REFUTED)
    found = seen(settings)
    assert found['ledger_dollars{period="day",subject="all"}'] == 12
    assert found['verdict{period="day",subject="all",verdict="REFUTED"}'] == 1


def test_what_is_unknown_has_no_figure_and_is_told_as_unknown(settings) -> None:
    budgets = {"platform": {"limit": "100", "spent": "50", "forecast": "60"}}
    stated(settings, 4, budgets=budgets)
    stated(settings, 5, verdict=Verdict.UNKNOWN)
    found = seen(settings)
    assert found['verdict{period="day",subject="all",verdict="UNKNOWN"}'] == 1
    assert not [name for name in found if "dollars" in name or "ratio" in name]


def test_budgets_are_told_as_shares_and_what_is_not_known_of_them_is_absent(settings) -> None:
    budgets = {
        "platform": {"limit": "200", "spent": "50", "forecast": "250.5"},
        "nobody": {"limit": "10", "spent": None, "forecast": None},
        "nothing": {"limit": "10", "spent": "0", "forecast": None},
    }
    stated(settings, 5, budgets=budgets)
    found = {name: value for name, value in seen(settings).items() if "budget" in name}
    assert found == {
        'budget_spent_ratio{budget="nothing"}': 0,
        'budget_spent_ratio{budget="platform"}': 0.25,
        'budget_forecast_ratio{budget="platform"}': 1.2525,
    }


def test_a_stop_in_force_is_told(settings) -> None:
    with connect(settings) as db:
        ((month,),) = db.execute("SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date").fetchall()
        sums = {"limit_usd": Decimal(1), "amount_usd": Decimal(2), "hard_stop": True, "operation_id": 1}
        for budget, of in (("now", month), ("long-ago", dt.date(2026, 1, 1))):
            named = {"budget": budget, "month": of, "threshold": "stop", "scope": Scope.TENANT, "subject": "acme"}
            raise_alert(db, BudgetAlert(**named, **sums))
    assert {name for name in seen(settings) if "stopped" in name} == {'budget_stopped{budget="now"}'}


def test_a_database_that_is_away_leaves_nothing_that_may_be_old(settings) -> None:
    stated(settings, 5)
    situation = Situation(Ledger(settings, patience_seconds=0), [])
    loop = Costs(situation)
    loop.round()
    assert situation.costs is not None
    loop._settings = changed(settings, "postgres", url="postgresql://steward@127.0.0.1:1/nowhere")
    loop.round()
    assert situation.costs is None
