"""A period is stated and an alert is raised once by an operation, and results are read back as they were stored or not at all."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from steward.clients.cost_book import alerts_of, keep_statement, latest_statement, raise_alert
from steward.clients.cost_pages import load_result, store_locked
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.budgets.spending import Scope
from steward.costs.errors import PageUnusable
from steward.costs.kept import ALL, BudgetAlert, CostStatement, result_key, statement_key
from steward.verdicts import Verdict
from tests.integration.cost_book.ground import OPENAI, SOMEWHERE

pytestmark = pytest.mark.without_search


def test_results_and_statements_are_read_back_as_they_were_stored(book, day) -> None:
    body = b'{"amount": "0.000000000001"}'
    with open_evidence_bucket(book) as objects:
        result = store_locked(book, objects, result_key(OPENAI, day, "T+1", body), body)
        assert store_locked(book, objects, result.object_key, body) == result
        assert load_result(objects, result) == body
        with pytest.raises(PageUnusable, match="SHA-256 is another"):
            store_locked(book, objects, result.object_key, b"{}")
        with pytest.raises(PageUnusable):
            load_result(objects, result.model_copy(update={"sha256": "c" * 64}))
    assert statement_key(ALL, day, day, body).startswith(f"ai-costs/statements/all/{day}_{day}.")


def test_a_period_is_stated_once_by_an_operation_and_anew_by_the_next(book, day) -> None:
    stated = CostStatement(
        subject=ALL,
        first_day=day,
        last_day=day,
        verdict=Verdict.VERIFIED,
        figures={"billed_usd": "1.5"},
        result=SOMEWHERE,
        operation_id=7,
    )
    with connect(book) as db:
        assert keep_statement(db, stated) == stated
        assert keep_statement(db, stated.model_copy(update={"figures": {"billed_usd": "2"}})) == stated
        later = keep_statement(db, stated.model_copy(update={"figures": {"billed_usd": "2"}, "operation_id": 8}))
        assert latest_statement(db, ALL, day, day) == later != stated
        assert latest_statement(db, OPENAI, day, day) is None


def test_an_alert_is_one_operations_to_tell(book) -> None:
    alert = BudgetAlert(
        budget="tenant:Globex Ltd",
        month=dt.date(2026, 10, 1),
        threshold="80",
        scope=Scope.TENANT,
        subject="Globex Ltd",
        limit_usd=Decimal("100.000000000001"),
        amount_usd=Decimal(81),
        operation_id=7,
    )
    with connect(book) as db:
        assert raise_alert(db, alert)
        # Its step again, after it was killed before it told.
        assert raise_alert(db, alert)
        assert not raise_alert(db, alert.model_copy(update={"operation_id": 8}))
        assert raise_alert(db, alert.model_copy(update={"operation_id": 8, "threshold": "100"}))
        assert alerts_of(db, alert.month)[0] == alert
        assert [each.threshold for each in alerts_of(db, alert.month)] == ["80", "100"]
