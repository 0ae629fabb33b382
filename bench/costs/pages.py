"""The pages that the providers would answer with: by the twins' own reports, of what was billed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from bench.costs.planted_prices import PlantedPrices
from replica.providers.anthropic import reports as anthropic_reports
from replica.providers.billing.usage import DAY, Source
from replica.providers.configuration import Account
from replica.providers.exchange import dumps
from replica.providers.month import ACCOUNTS
from replica.providers.openai import reports as openai_reports

Json = dict[str, Any]
Query = dict[str, list[str]]
HOUR = 3600
#: The twins are asked when everything is stated.
LATER = 40 * DAY
#: Days of the month on which Anthropic bills something that is no token, and how many cents of it.
OTHER_DAYS, OTHER_CENTS = (2, 11, 22), "123.456789"


class Bills:
    """Of a month, by account and day."""

    def __init__(self, usage: Source, prices: PlantedPrices, begin: int, *, clean: bool) -> None:
        self._prices, self._begin, self._clean, self._held = prices, begin, clean, usage

    def pages(self, account: Account, day: int) -> Iterator[tuple[str, bytes]]:
        """(report, raw page) of the day that begins at the Unix time *day*, in order."""
        told = self._openai(account, day) if account.provider == "openai" else self._anthropic(account, day)
        yield from ((report, dumps(page)) for report, page in told)

    def _openai(self, account: Account, day: int) -> Iterator[tuple[str, Json]]:
        costs = {
            "start_time": [str(day)],
            "end_time": [str(day + DAY)],
            "group_by": ["project_id", "line_item", "api_key_id"],
        }
        minutes = {
            "start_time": [str(day - HOUR)],
            "end_time": [str(day + DAY + HOUR)],
            "bucket_width": ["1m"],
            "limit": ["1440"],
            "group_by": ["project_id", "api_key_id", "model", "service_tier", "batch"],
        }
        yield "costs", openai_reports.costs(self._prices, self._held, account, costs, day + LATER)
        for report in ("completions", "embeddings"):
            ask = getattr(openai_reports, report)
            yield from _paged(
                f"usage/{report}", lambda query, ask=ask: ask(self._held, account, query, day + LATER), minutes
            )

    def _anthropic(self, account: Account, day: int) -> Iterator[tuple[str, Json]]:
        moment = anthropic_reports.moment
        costs = {
            "starting_at": [moment(day)],
            "ending_at": [moment(day + DAY)],
            "group_by": ["workspace_id", "description"],
        }
        minutes = {
            "starting_at": [moment(day - HOUR)],
            "ending_at": [moment(day + DAY + HOUR)],
            "bucket_width": ["1m"],
            "limit": ["1440"],
            "group_by": ["workspace_id", "api_key_id", "model", "service_tier", "context_window"],
        }
        page = anthropic_reports.cost_report(self._prices, self._held, account, costs, day + LATER)
        if not self._clean and (day - self._begin) // DAY in OTHER_DAYS:
            page["data"][0]["results"].append(_other())
        yield "cost_report", page
        yield from _paged(
            "usage_report",
            lambda query: anthropic_reports.usage_report(self._held, account, query, day + LATER),
            minutes,
        )


def _paged(report: str, ask: Callable[[Query], Json], query: Query) -> Iterator[tuple[str, Json]]:
    page = ask(query)
    yield report, page
    while page["has_more"]:
        page = ask({**query, "page": [page["next_page"]]})
        yield report, page


def _other() -> dict[str, Any]:
    none = dict.fromkeys(("model", "token_type", "service_tier", "context_window", "inference_geo"))
    told = {"description": "Code Execution Usage", "cost_type": "code_execution", "workspace_id": "wrkspc_1"}
    return {"currency": "USD", "amount": OTHER_CENTS, **none, **told}


def accounts() -> tuple[Account, ...]:
    return ACCOUNTS


def days(month: str) -> list[int]:
    """When each begins, in Unix time."""
    year, number = int(month[:4]), int(month[5:])
    begin = dt.datetime(year, number, 1, tzinfo=dt.UTC)
    end = dt.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=dt.UTC)
    return list(range(int(begin.timestamp()), int(end.timestamp()), DAY))
