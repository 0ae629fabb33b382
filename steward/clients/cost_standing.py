"""How costs stand by what was stated last, for whoever watches: of each subject its newest day, month and other period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from psycopg.rows import dict_row

from steward.clients.cost_stops import StopInForce, stops_in_force
from steward.clients.postgres import Connection
from steward.verdicts import Verdict


@dataclass(frozen=True)
class Stated:
    """The newest statement of its kind."""

    subject: str
    period: str
    """`day`, `month`, or `other`."""
    verdict: Verdict
    amounts: Mapping[str, Decimal]
    """Dollars, by figure; what is not known is not among them, and of one that is UNKNOWN nothing is."""
    ended: datetime
    """The end of its last day."""
    stated_at: datetime


@dataclass(frozen=True)
class BudgetStands:
    """Shares of the limit; None: not known."""

    budget: str
    spent: Decimal | None
    forecast: Decimal | None


@dataclass(frozen=True)
class CostsStand:
    """All of it."""

    stated: list[Stated]
    budgets: list[BudgetStands]
    """By the statement of the newest day; none where it is UNKNOWN."""
    stops: list[StopInForce]


def read_costs_stand(connection: Connection) -> CostsStand:
    """By the database as it is now."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_NEWEST).fetchall()
    newest = max(rows, key=lambda row: (row["ended"], row["id"]), default=None)
    budgets = ((newest or {}).get("figures") or {}).get("budgets") or {}
    return CostsStand(
        stated=[_stated(row) for row in rows],
        budgets=[_budget(name, told) for name, told in sorted(budgets.items())],
        stops=stops_in_force(connection),
    )


def _stated(row: dict[str, Any]) -> Stated:
    return Stated(
        subject=row["subject"],
        period=row["period"],
        verdict=Verdict(row["verdict"]),
        amounts=dict(_amounts(row["figures"] or {})),
        ended=row["ended"],
        stated_at=row["entered_at"],
    )


def _amounts(figures: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    for name in ("ledger", "billed", "variance", "unexplained", "bound"):
        if figures.get(name) is not None:
            yield name, Decimal(figures[name])


def _budget(name: str, told: Mapping[str, Any]) -> BudgetStands:
    limit = Decimal(told["limit"])
    spent, forecast = (
        None if told.get(each) is None else Decimal(told[each]) / limit for each in ("spent", "forecast")
    )
    return BudgetStands(name, spent, forecast)


_NEWEST: LiteralString = """
SELECT DISTINCT ON (subject, period) subject, period, verdict, figures, ended, entered_at, id
  FROM (SELECT *, (last_day + 1)::timestamp AT TIME ZONE 'UTC' AS ended,
               CASE WHEN first_day = last_day THEN 'day'
                    WHEN extract(day FROM first_day) = 1 AND first_day + interval '1 month' = last_day + 1 THEN 'month'
                    ELSE 'other' END AS period
          FROM steward.cost_statements) AS stated
 ORDER BY subject, period, last_day DESC, id DESC
"""
