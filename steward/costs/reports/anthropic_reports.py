"""Anthropic's reports of usage and costs, read as the two sides of a bill. Amounts are strings of **cents**.

https://docs.claude.com/en/api/admin-api/usage-cost/get-messages-usage-report
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.costs.cells import Cell
from steward.costs.reports.buckets import Json, buckets, count, dollars, name, name_or_none, one_of, part
from steward.costs.values import Line, Usage

USAGE, COSTS = "usage_report/messages", "cost_report"
_CLASSES = {
    "uncached_input_tokens": "input_uncached",
    "cache_read_input_tokens": "input_cached",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "output_tokens": "output",
}
#: The report names the window by which it bills, whatever a model's threshold is.
_CONTEXTS = {"0-200k": "base", "200k-1M": "long"}
_CENTS = 100


def usage(account: str, pages: Sequence[Json], hours: Sequence[int]) -> Iterator[Usage]:
    """By the hours, or minutes, that were asked for. Raises PageUnusable."""
    for hour, result in buckets(pages, USAGE, hours, start="starting_at", end="ending_at"):
        cell = Cell(
            account,
            hour,
            name_or_none(result, "workspace_id", USAGE),
            name_or_none(result, "api_key_id", USAGE),
            name(result, "model", USAGE),
            name(result, "service_tier", USAGE),
            one_of(result, "context_window", _CONTEXTS, USAGE),
        )
        written, tools = part(result, "cache_creation", USAGE), part(result, "server_tool_use", USAGE)
        quantities = (
            count(result, "uncached_input_tokens", USAGE),
            count(result, "cache_read_input_tokens", USAGE),
            0,
            count(written, "ephemeral_5m_input_tokens", USAGE),
            count(written, "ephemeral_1h_input_tokens", USAGE),
            count(result, "output_tokens", USAGE),
            count(tools, "web_search_requests", USAGE),
        )
        yield Usage(cell, quantities, None)


def lines(pages: Sequence[Json], day: int) -> Iterator[Line]:
    """Of the costs of the day that begins at *day*. Raises PageUnusable."""
    for _, result in buckets(pages, COSTS, [day], start="starting_at", end="ending_at"):
        amount = dollars(result.get("amount"), result.get("currency"), COSTS) / _CENTS
        project, kind = name_or_none(result, "workspace_id", COSTS), name(result, "cost_type", COSTS)
        if kind == "tokens":
            yield Line(
                project=project,
                key=None,
                model=name(result, "model", COSTS),
                tier=name(result, "service_tier", COSTS),
                context=one_of(result, "context_window", _CONTEXTS, COSTS),
                item=_CLASSES.get(name(result, "token_type", COSTS), name(result, "token_type", COSTS)),
                quantity=None,
                amount=amount,
            )
        else:
            item = "web_searches" if kind == "web_search" else name(result, "description", COSTS)
            yield Line(project, None, "", "", "", item, None, amount)
