"""Anthropic's reports by its reference (platform.claude.com/docs/en/api/admin)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from steward.costs.cells import Cell
from steward.costs.errors import PageUnusable
from steward.costs.reports.anthropic_reports import lines, usage
from steward.costs.reports.buckets import read_page
from steward.costs.values import Line, Usage

DAY = 1_795_132_800
HOURS = range(DAY, DAY + 7200, 3600)
TOLD = {
    "uncached_input_tokens": 1500,
    "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
    "cache_read_input_tokens": 200,
    "output_tokens": 80,
    "server_tool_use": {"web_search_requests": 10},
    "api_key_id": "apikey_1",
    "workspace_id": "wrkspc_1",
    "model": "claude-sonnet-5-5",
    "service_tier": "standard",
    "context_window": "0-200k",
    "inference_geo": "not_available",
}
COST = {
    "currency": "USD",
    "amount": "123.78912",
    "workspace_id": "wrkspc_1",
    "description": "Claude Sonnet 5.5 Usage - Input Tokens",
    "cost_type": "tokens",
    "model": "claude-sonnet-5-5",
    "token_type": "uncached_input_tokens",
    "service_tier": "standard",
    "context_window": "0-200k",
    "inference_geo": None,
}
WITHOUT_MODEL = dict.fromkeys(("model", "token_type", "service_tier", "context_window"))


def page(*buckets):
    data = [{"starting_at": start, "ending_at": end, "results": list(results)} for start, end, *results in buckets]
    return [read_page(json.dumps({"data": data, "has_more": False, "next_page": None}).encode(), "report")]


def used(**changed):
    told = {name: value for name, value in {**TOLD, **changed}.items() if value is not ...}
    first = ("2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", told)
    (found,) = usage("main", page(first, ("2026-11-20T01:00:00Z", "2026-11-20T02:00:00Z")), HOURS)
    return found


def line(**changed):
    (found,) = lines(page(("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", {**COST, **changed})), DAY)
    return found


def test_every_class_is_told_by_itself_and_requests_are_not_counted() -> None:
    cell = Cell("main", DAY, "wrkspc_1", "apikey_1", "claude-sonnet-5-5", "standard", "base")
    assert used() == Usage(cell, (1500, 200, 0, 500, 1000, 80, 10), None)


def test_the_window_tells_the_rate() -> None:
    assert used(context_window="200k-1M").cell.context == line(context_window="200k-1M").context == "long"


def test_the_default_workspace_has_no_id_and_the_console_no_key() -> None:
    assert used(workspace_id=None, api_key_id=None).cell[2:4] == ("", "")
    assert line(workspace_id=None).project == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"context_window": "1M-2M"}, "context_window is '1M-2M', expected one of 0-200k, 200k-1M"),
        ({"context_window": None}, "context_window is None"),
        ({"cache_creation": None}, "cache_creation is None, expected an object"),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 5}}, "ephemeral_1h_input_tokens is None"),
        ({"server_tool_use": []}, r"server_tool_use is \[\]"),
        ({"server_tool_use": {}}, "web_search_requests is None"),
        ({"output_tokens": "80"}, "output_tokens is '80'"),
        ({"workspace_id": ...}, "workspace_id is None"),
        ({"service_tier": None}, "service_tier is None"),
    ],
)
def test_usage_that_lacks_something_is_no_usage(changed, words) -> None:
    with pytest.raises(PageUnusable, match=words):
        used(**changed)


def test_amounts_are_cents() -> None:
    expected = Line(
        "wrkspc_1", None, "claude-sonnet-5-5", "standard", "base", "input_uncached", None, Decimal("1.2378912")
    )
    assert line() == expected
    assert line(amount="1234567890123456.789012345678").amount == Decimal("12345678901234.56789012345678")


@pytest.mark.parametrize(
    ("token_type", "item"),
    [
        ("cache_read_input_tokens", "input_cached"),
        ("cache_creation.ephemeral_5m_input_tokens", "cache_write_5m"),
        ("cache_creation.ephemeral_1h_input_tokens", "cache_write_1h"),
        ("output_tokens", "output"),
        ("thinking_tokens", "thinking_tokens"),
    ],
)
def test_a_line_is_of_its_class_or_stays_what_it_is_called(token_type, item) -> None:
    assert line(token_type=token_type).item == item


def test_what_is_no_token_has_neither_model_nor_tier() -> None:
    search = line(cost_type="web_search", description="Web Search Usage", **WITHOUT_MODEL)
    assert search == Line("wrkspc_1", None, "", "", "", "web_searches", None, Decimal("1.2378912"))
    code = line(cost_type="code_execution", description="Code Execution Usage", **WITHOUT_MODEL)
    assert code.item == "Code Execution Usage"


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": None},
        {"amount": ""},
        {"currency": "EUR"},
        {"currency": None},
        {"cost_type": None},
        {"model": None},
        {"context_window": "1M-2M"},
    ],
)
def test_a_line_without_its_amount_in_dollars_or_its_name_is_no_line(changed) -> None:
    with pytest.raises(PageUnusable):
        line(**changed)
