"""The bench of costs: what it plants is beyond dispute, and what it counts is what it says."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from bench.costs.laying import Month, lay_pages, lay_part
from bench.costs.measuring import Measured, reconcile
from bench.costs.pages import accounts, days
from replica.providers.billing.usage import DAY
from steward.costs.attribution.days import Day
from steward.costs.causes import Cause, Share

ATTEMPTS = 31_000


def test_what_is_planted_is_just_what_bill_and_ledger_differ_by(tmp_path):
    """Of a day with incidents over each other: nothing is counted twice, nothing is left out."""
    month = Month(tmp_path, "2026-10", ATTEMPTS, seed=3)
    for account, number in zip(accounts(), (6, 16), strict=True):
        # Attempts are spread evenly over the days, in order: those of the day, and of an hour before and after it.
        first, last = (round(ATTEMPTS * days_before / 31) for days_before in (number - 1.05, number + 0.05))
        planted = lay_part(month, range(first, last))
        begin = days(month.name)[number - 1]
        lay_pages(month, account, begin)
        day, _, _ = reconcile(tmp_path, account.name, account.provider, begin)
        told = {key[0]: amount for key, amount in planted.items() if key[1:3] == (account.name, begin // DAY)}
        assert len(told) >= 4
        sums = [amount for key, amount in planted.items() if key[1:3] == (account.name, begin // DAY)]
        assert day.billed - day.ledger == sum(sums)


def test_dollars_are_right_only_under_their_cause_day_and_project():
    shares = [
        _share(Cause.CACHE_SPLIT, "p", "-3"),
        _share(Cause.SERVED_TIER, "q", "-2"),
        _share(Cause.WEB_SEARCH, "p", "1"),
    ]
    day = Day("main", dt.date(2026, 10, 1), Decimal(10), Decimal(6), tuple(shares), (), Decimal(0))
    today = int(dt.datetime(2026, 10, 1, tzinfo=dt.UTC).timestamp()) // DAY
    planted = {
        ("cache_split", "main", today, "p"): Decimal(-4),
        # In another project, and of the other sign.
        ("served_tier", "main", today, "p"): Decimal(-2),
        ("web_search", "main", today, "p"): Decimal(-2),
    }
    found = Measured(1.0, [day], planted, 0)
    assert found.right_percent == Decimal(100) * 3 / 8
    assert found.by_cause()["served_tier"] == (2, 0, 2)


def _share(cause: Cause, project: str, amount: str) -> Share:
    return Share(cause, project, "key", "model", "default", "", "output", 1, Decimal(amount), "")
