import datetime as dt
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.costs.budgets.forecast import forecast


def day(number, month=10):
    return dt.date(2026, month, number)


def days(first, last, amount):
    count = (last - first).days + 1
    return {first + dt.timedelta(days=n): Decimal(amount) for n in range(count)}


def test_days_that_all_cost_the_same_end_at_their_sum_without_an_interval():
    found = forecast(days(day(1, 9), day(20), "3"), day(20))
    assert (found.known, found.expected, found.low, found.high) == (60, 93, 93, 93)
    assert (found.month, found.unknown_days, found.days) == ("2026-10", 0, 28)


def test_each_day_to_come_costs_what_its_weekday_did():
    # 2026-10-01 is a Thursday. Ten dollars on weekdays, one on weekend days, of four weeks.
    def price(at):
        return Decimal(1 if at.weekday() >= 5 else 10)

    known = {at: price(at) for at in days(day(3, 9), day(30, 9), 0)} | {day(1): Decimal(10)}
    found = forecast(known, day(1))
    # October 2026: 22 weekdays, nine weekend days.
    assert found.expected == found.low == found.high == 22 * 10 + 9 * 1


def test_only_the_last_28_days_count():
    known = days(day(1, 8), day(2, 9), "1000") | days(day(3, 9), day(30, 9), "1")
    assert forecast(known, day(30, 9)).expected == sum(amount for at, amount in known.items() if at.month == 9)
    found = forecast(known, day(1))
    assert found.known is None
    assert found.expected == 31
    assert found.days == 27
    assert found.unknown_days == 1


@pytest.mark.parametrize("number", range(3))
def test_fewer_than_three_known_days_forecast_nothing(number):
    found = forecast(days(day(1), day(1) + dt.timedelta(days=number - 1), "5"), day(20))
    assert (found.expected, found.low, found.high) == (None, None, None)
    assert found.known == (5 * number if number else None)


def test_a_month_that_is_over_and_known_is_what_it_was_however_little_is_known_of_late():
    found = forecast(days(day(1), day(31), "2"), day(31))
    assert (found.known, found.expected, found.low, found.high) == (62, 62, 62, 62)


def test_days_that_are_not_known_are_forecast_and_never_nothing():
    known = {at: amount for at, amount in days(day(1), day(20), "3").items() if at.day not in {4, 5}}
    found = forecast(known, day(20))
    assert (found.known, found.unknown_days, found.expected) == (54, 2, 93)


def test_a_weekday_nobody_has_seen_may_come_to_nothing_and_to_twice_the_mean():
    # Thursday to Wednesday but for Saturday and Sunday (3, 4).
    known = {at: Decimal(10) for at in days(day(1), day(7), 0) if at.weekday() < 5}
    found = forecast(known, day(7))
    # Nine weekend days in October: the third and fourth are unknown, too.
    assert (found.low, found.expected, found.high) == (310 - 90, 310, 310 + 90)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.integers(0, 60).map(lambda n: day(1, 9) + dt.timedelta(days=n)),
        st.decimals("0", "1E6", places=12),
        max_size=40,
    ),
    st.integers(1, 31),
)
def test_a_forecast_lies_in_its_interval_and_is_never_below_what_is_known(daily, through):
    found = forecast(daily, day(through))
    known = [amount for at, amount in daily.items() if at.month == 10 and at.day <= through]
    assert found.known == (sum(known) if known else None)
    if found.expected is not None:
        assert found.low <= found.expected <= found.high
        assert found.low >= round(sum(known), 2) - Decimal("0.01")


def test_nine_of_ten_months_end_within_the_interval():
    inside = months = 0
    for seed in range(120):
        draws = random.Random(seed)
        whole = {
            at: Decimal(round(draws.gauss(100 if at.weekday() < 5 else 40, 10) * 100)) / 100
            for at in days(day(1, 9), day(31), 0)
        }
        through = day(3 + seed % 26)
        found = forecast({at: amount for at, amount in whole.items() if at <= through}, through)
        inside += found.low <= sum(amount for at, amount in whole.items() if at.month == 10) <= found.high
        months += 1
    assert 0.85 <= inside / months <= 0.96
