"""What a month will come to: what is known of it, and for the other days what such weekdays came to lately.

    forecast = known days + sum over the other days of the mean of their weekday, of the last 28 days
    interval = forecast ± t * s * sqrt(sum over weekdays of (n + n² / N))

s: how known days of the last 28 scatter about their weekdays' means; N: how many of them such a mean is of; n: such days that
are not known; t: Student's quantile of 95 %, so that nine of ten months end inside, as long as days are independent of each
other and use neither grows nor shrinks. Days of a weekday that was not seen yet widen it by all of their mean. It says
nothing of a launch next week.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

from pydantic import BaseModel, ConfigDict

from steward.costs.money import ZERO, Money, cents, total
from steward.costs.period import days_of

#: Known days of the last 28 below which nothing is forecast.
FEWEST_DAYS = 3
HISTORY_DAYS = 28
_DIGITS = 50
#: Student's t, one side, 95 %, by degrees of freedom from 1 on: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
_T = """
    6.314 2.920 2.353 2.132 2.015 1.943 1.895 1.860 1.833 1.812 1.796 1.782 1.771 1.761
    1.753 1.746 1.740 1.734 1.729 1.725 1.721 1.717 1.714 1.711 1.708 1.706 1.703
"""
_QUANTILES = tuple(Decimal(each) for each in _T.split())
#: Below it the scatter about the mean of all days tells more than that about weekdays' means.
_LEAST_FREEDOM = 3


class Forecast(BaseModel):
    """Of one month, as of the end of a day. Cents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    month: str
    """YYYY-MM."""
    through: dt.date
    known: Money | None
    """What the known days of the month came to; None: none is known."""
    unknown_days: int
    """Days until `through` without a figure: they are forecast like those to come, and are never nothing."""
    expected: Money | None
    """None: unknown, since fewer than three of the last 28 days are known."""
    low: Money | None
    high: Money | None
    days: int
    """Known days of the last 28, on which it rests."""


def forecast(daily: Mapping[dt.date, Decimal], through: dt.date) -> Forecast:
    """Of the month of *through*, the last day that may be known. *daily*: what a day came to; a day that is not known is absent."""
    first = through.replace(day=1)
    month = [first + dt.timedelta(days=n) for n in range(days_of(first))]
    known = [day for day in month if day <= through and day in daily]
    open_days = [day for day in month if day not in known]
    lately = {day: daily[day] for day in _last(through) if day in daily}
    to_date = total(daily[day] for day in known)
    told = {
        "month": f"{first:%Y-%m}",
        "through": through,
        "known": to_date if known else None,
        "unknown_days": sum(day <= through for day in open_days),
        "days": len(lately),
    }
    if len(lately) < FEWEST_DAYS:
        expected = low = high = None if open_days else to_date
    else:
        expected, low, high = _expected(to_date, open_days, lately)
    return Forecast.model_validate(told | {"expected": expected, "low": low, "high": high})


def _last(through: dt.date) -> Sequence[dt.date]:
    return [through - dt.timedelta(days=n) for n in range(HISTORY_DAYS)]


def _expected(
    to_date: Decimal, open_days: Sequence[dt.date], lately: Mapping[dt.date, Decimal]
) -> tuple[Decimal, Decimal, Decimal]:
    with localcontext() as context:
        context.prec = _DIGITS
        by_weekday = _by_weekday(lately)
        wanted = [by_weekday[day.weekday()] for day in open_days]
        middle = to_date + sum(map(_mean, wanted), ZERO)
        half = _scatter(lately, by_weekday) * _uncertain(open_days, by_weekday).sqrt() + _unseen(open_days, lately)
        # Days that cost less than nothing are restatements: none is forecast.
        return cents(middle), cents(max(middle - half, min(to_date, middle))), cents(middle + half)


def _by_weekday(lately: Mapping[dt.date, Decimal]) -> Mapping[int, Sequence[Decimal]]:
    """A weekday that was not seen has all days instead."""
    found = defaultdict[int, list[Decimal]](list)
    for day, amount in lately.items():
        found[day.weekday()].append(amount)
    return {each: found.get(each) or list(lately.values()) for each in range(7)}


def _scatter(lately: Mapping[dt.date, Decimal], by_weekday: Mapping[int, Sequence[Decimal]]) -> Decimal:
    """Of one day about its mean, times Student's quantile."""
    freedom = len(lately) - len({day.weekday() for day in lately})
    means = {weekday: _mean(amounts) for weekday, amounts in by_weekday.items()}
    if freedom < _LEAST_FREEDOM:
        means, freedom = dict.fromkeys(range(7), _mean(list(lately.values()))), len(lately) - 1
    squares = sum(((amount - means[day.weekday()]) ** 2 for day, amount in lately.items()), ZERO)
    return _QUANTILES[freedom - 1] * (squares / freedom).sqrt()


def _unseen(open_days: Sequence[dt.date], lately: Mapping[dt.date, Decimal]) -> Decimal:
    """A weekday nobody has seen yet may come to nothing, and to twice the mean: weekends mostly do not cost what Fridays do."""
    seen = {day.weekday() for day in lately}
    return sum(day.weekday() not in seen for day in open_days) * abs(_mean(list(lately.values())))


def _uncertain(open_days: Sequence[dt.date], by_weekday: Mapping[int, Sequence[Decimal]]) -> Decimal:
    """In variances of one day: each day's own, and that of the mean it is taken from."""
    counts = Counter(day.weekday() for day in open_days)
    return sum((n + Decimal(n * n) / len(by_weekday[weekday]) for weekday, n in counts.items()), ZERO)


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, ZERO) / len(amounts)
