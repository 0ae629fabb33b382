"""What both providers' reports say equals the record, priced here once more in a few lines and with prices typed in again."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import pytest

from replica.providers import month
from tests.testbed.providers.ground import ASKED, PROJECT, WORKSPACE, Twins, running_twins

pytestmark = pytest.mark.without_search

# Dollars a million tokens: uncached, read, written, output.
OPENAI = {
    ("gpt-4o-mini-2024-07-18", "default"): ("0.15", "0.075", "0", "0.60"),
    ("gpt-6-luna", "default"): ("0.10", "0.01", "0.125", "0.50"),
    ("gpt-6-luna", "flex"): ("0.05", "0.005", "0.0625", "0.25"),
    ("text-embedding-3-small", "default"): ("0.02", "0", "0", "0"),
}
ANTHROPIC = {
    "claude-haiku-5-5": ("0.10", "0.01", "0.125", "0.20", "0.50"),
    "long": ("0.50", "0.05", "0.625", "1", "2.50"),
}
MILLION = Decimal(1_000_000)


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Twins]:
    """Twins with some use of every kind, and nothing else on record."""
    with running_twins(tmp_path_factory.mktemp("bills")) as twins:
        _use(twins)
        yield twins


def _use(twins: Twins) -> None:
    chat = twins.openai().chat.completions.create
    long = [{"role": "system", "content": "s" * 9000}, *ASKED]
    for _ in range(3):
        chat(model="gpt-4o-mini", messages=ASKED)
        chat(model="gpt-6-luna", messages=long, service_tier="flex")
        chat(model="gpt-6-luna", messages=long)
    twins.openai().embeddings.create(model="text-embedding-3-small", input="sea" * 100)
    twins.lay("error", first=10, last=10, provider="openai")
    with pytest.raises(Exception, match="server"):
        chat(model="gpt-4o-mini", messages=ASKED)
    twins.lay("cut", after=0.5, first=11, provider="openai")
    with pytest.raises(Exception, match=r"."):
        list(chat(model="gpt-4o-mini", messages=ASKED, stream=True))
    for ttl, size in (("5m", 9000), ("1h", 9000), ("5m", 600_000)):
        cached = {"type": "text", "text": ttl + "s" * size, "cache_control": {"type": "ephemeral", "ttl": ttl}}
        for _ in range(2):
            twins.anthropic().messages.create(
                model="claude-haiku-5-5", max_tokens=50, messages=ASKED, system=[cached, {"type": "text", "text": ttl}]
            )
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    twins.anthropic().messages.create(model="claude-haiku-5-5", max_tokens=50, messages=ASKED, tools=search)
    twins.lay("tier", served="priority", provider="anthropic")
    twins.anthropic().messages.create(model="claude-haiku-5-5", max_tokens=50, messages=ASKED)


def _owed(twins: Twins, account: str) -> Decimal:
    """The whole bill, from the record."""
    owed = Decimal(0)
    for row in twins.attempts(account=account):
        if not row["billed"] or row["tier_served"] == "priority":
            continue
        if account == "openai-main":
            rates = OPENAI[row["model_served"], row["tier_served"]]
            counts = (row["input_uncached"], row["cache_read"], row["cache_write_30m"], row["output"])
        else:
            rates = ANTHROPIC["long" if row["long_context"] else "claude-haiku-5-5"]
            names = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output")
            counts = tuple(row[name] for name in names)
            owed += row["web_searches"] * Decimal("0.01")
        owed += sum(count * Decimal(rate) / MILLION for count, rate in zip(counts, rates, strict=True))
    return owed


def _midnight() -> int:
    return int(time.time()) // 86_400 * 86_400


def _costs(twins: Twins, **query) -> list[dict]:
    """OpenAI's, as the API writes them: numbers are read as Decimal."""
    asked = {"start_time": _midnight() - 86_400, "end_time": _midnight() + 86_400, **query}
    headers = {"authorization": f"Bearer {twins.secret('openai-main.admin')}"}
    answer = twins.http.get(f"{twins.openai_url}/organization/costs", params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    page = json.loads(answer.text, parse_float=Decimal)
    return [result for bucket in page["data"] for result in bucket["results"]]


def _report(twins: Twins, name: str, **query) -> list[dict]:
    start, end = (
        dt.datetime.fromtimestamp(at, dt.UTC).isoformat() for at in (_midnight() - 86_400, _midnight() + 86_400)
    )
    page = twins.organization(name, {"starting_at": start, "ending_at": end, **query})
    return [result for bucket in page["data"] for result in bucket["results"]]


def test_openai_costs_equal_the_record_to_the_last_digit(billed: Twins) -> None:
    owed = _owed(billed, "openai-main")
    assert owed > 0
    for groups in ([], ["line_item"], ["project_id", "line_item", "api_key_id"]):
        results = _costs(billed, **{"group_by[]": groups})
        assert sum(result["amount"]["value"] for result in results) == owed
    named = {result["line_item"] for result in results}
    assert {
        "gpt-6-luna, input, flex",
        "gpt-6-luna, cached input",
        "gpt-6-luna, cache write, flex",
        "gpt-4o-mini-2024-07-18, output",
    } <= named
    assert {result["project_id"] for result in results} == {PROJECT}
    (one,) = _costs(billed, **{"line_items[]": "text-embedding-3-small, input", "group_by[]": "line_item"})
    assert (one["quantity"], one["amount"]["currency"]) == (75, "usd")


def test_openai_usage_counts_cached_and_written_tokens_within_the_prompt(billed: Twins) -> None:
    rows = [
        row for row in billed.attempts(account="openai-main") if row["billed"] and row["model_served"] == "gpt-6-luna"
    ]
    usage = billed.openai().admin.organization.usage
    page = usage.completions(start_time=_midnight() - 86_400, group_by=["model", "service_tier"], models=["gpt-6-luna"])
    results = [result for bucket in page.data for result in bucket.results]
    assert {result.service_tier for result in results} == {"default", "flex"}
    read, written = (sum(row[name] for row in rows) for name in ("cache_read", "cache_write_30m"))
    assert read > 0
    assert written > 0
    assert sum(result.input_cached_tokens for result in results) == read
    assert sum(result.input_cache_write_tokens for result in results) == written
    assert sum(result.input_tokens for result in results) == sum(row["input_uncached"] for row in rows) + read + written
    assert sum(result.num_model_requests for result in results) == len(rows)
    embedded = usage.embeddings(start_time=_midnight() - 86_400)
    assert [result.input_tokens for bucket in embedded.data for result in bucket.results] == [75]


def test_anthropic_costs_are_cents_as_strings_and_equal_the_record(billed: Twins) -> None:
    owed = _owed(billed, "anthropic-main")
    for groups in ([], ["workspace_id"], ["workspace_id", "description"]):
        results = _report(billed, "cost_report", **{"group_by[]": groups})
        assert all(isinstance(result["amount"], str) for result in results)
        assert sum(Decimal(result["amount"]) for result in results) == owed * 100
    kinds = {result["cost_type"] for result in results}
    windows = {result["context_window"] for result in results if result["cost_type"] == "tokens"}
    assert (kinds, windows) == ({"tokens", "web_search"}, {"0-200k", "200k-1M"})
    assert "priority" not in {result["service_tier"] for result in results}
    assert {result["workspace_id"] for result in results} == {WORKSPACE}


def test_anthropic_usage_tells_every_class_priority_too(billed: Twins) -> None:
    rows = [row for row in billed.attempts(account="anthropic-main") if row["billed"]]
    results = _report(billed, "usage_report/messages", **{"group_by[]": ["service_tier", "context_window", "model"]})
    for told, recorded in (
        (lambda each: each["uncached_input_tokens"], "input_uncached"),
        (lambda each: each["cache_read_input_tokens"], "cache_read"),
        (lambda each: each["cache_creation"]["ephemeral_5m_input_tokens"], "cache_write_5m"),
        (lambda each: each["cache_creation"]["ephemeral_1h_input_tokens"], "cache_write_1h"),
        (lambda each: each["output_tokens"], "output"),
        (lambda each: each["server_tool_use"]["web_search_requests"], "web_searches"),
    ):
        assert sum(map(told, results)) == sum(row[recorded] for row in rows) > 0
    assert {result["service_tier"] for result in results} == {"standard", "priority"}


@pytest.mark.parametrize(("width", "count"), [("1d", 3), ("1h", 50), ("1m", 130)])
def test_pages_follow_one_another_without_gap_or_overlap(billed: Twins, width, count) -> None:
    seconds = {"1d": 86_400, "1h": 3600, "1m": 60}[width]
    end = int(time.time()) // seconds * seconds + seconds
    starts, page = [], None
    usage = billed.openai().admin.organization.usage
    while True:
        more = {"page": page} if page else {}
        answer = usage.completions(start_time=end - count * seconds, end_time=end, bucket_width=width, limit=7, **more)
        starts += [(bucket.start_time, bucket.end_time) for bucket in answer.data]
        page = answer.next_page
        assert answer.has_more == (page is not None)
        if not page:
            break
    first = end - count * seconds
    assert starts == [(first + n * seconds, first + (n + 1) * seconds) for n in range(count)]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 32},
        {"limit": 0},
        {"bucket_width": "2d"},
        {"page": "page_x"},
        {"group_by[]": "mood"},
        {"starting_at": "then"},
    ],
)
def test_reports_refuse_what_they_do_not_know(billed: Twins, query) -> None:
    headers = {"x-api-key": billed.secret("anthropic-main.admin"), "anthropic-version": "2026-10-21"}
    asked = {"starting_at": "2026-10-01T00:00:00Z", **query}
    answer = billed.http.get(
        f"{billed.anthropic_url}/v1/organizations/usage_report/messages", params=asked, headers=headers
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_late_restatement_is_seen_from_its_moment_on(billed: Twins) -> None:
    day = _midnight() - 40 * 86_400
    named = {"provider": "openai", "account": "openai-main", "project": PROJECT, "key_id": "o1"}
    told = {**named, "endpoint": "chat.completions", "model": "gpt-6-luna", "tier": "default", "at": day}
    span = {"start_time": day, "end_time": day + 86_400}
    billed.admin("POST", "/restatements", {**told, "output": 2_000_000, "requests": 3})
    billed.admin("POST", "/restatements", {**told, "output": -500_000, "visible_at": time.time() + 3600})
    assert [result["amount"]["value"] for result in _costs(billed, **span)] == [Decimal("1.00")]
    billed.admin("POST", "/restatements", {**told, "output": -500_000})
    assert [result["amount"]["value"] for result in _costs(billed, **span)] == [Decimal("0.75")]


def test_an_invoice_adds_up_with_credits_and_tax_below_the_line(billed: Twins) -> None:
    month = dt.datetime.fromtimestamp(_midnight() - 400 * 86_400, dt.UTC).strftime("%Y-%m")
    noon = int(dt.datetime.fromisoformat(f"{month}-15T12:00:00+00:00").timestamp())
    named = {"provider": "anthropic", "account": "anthropic-main", "project": WORKSPACE, "key_id": "a1"}
    told = {**named, "endpoint": "messages", "model": "claude-haiku-4-5-20251001", "tier": "standard", "at": noon}
    billed.admin("POST", "/restatements", {**told, "output": 20_001_000, "input_uncached": 5_000})
    credit = {"provider": "anthropic", "account": "anthropic-main", "month": month, "description": "goodwill"}
    billed.admin("POST", "/credits", {**credit, "amount": "30"})
    invoice = billed.admin("GET", f"/invoices/anthropic-main/{month}")
    # 100.005 dollars and 0.005 dollars, each rounded half up.
    assert [line["amount"] for line in invoice["lines"]] == ["0.01", "100.01"]
    assert (invoice["subtotal"], invoice["credits_applied"]) == ("100.02", "-30.00")
    assert Decimal(invoice["tax"]) == Decimal("13.30")
    assert Decimal(invoice["total"]) == Decimal("83.32")


def test_a_generated_month_has_the_same_bills_over_http(tmp_path: Path) -> None:
    month.make(tmp_path / "month", "2026-10", 3000, 4)
    (tmp_path / "own").mkdir()
    twins = Twins(tmp_path / "own")
    twins.start()
    try:
        assert twins.admin("POST", "/months", {"folder": str(tmp_path / "month")})["taken_in"] > 1000
        files = sorted((tmp_path / "month" / "bills" / "openai-main" / "35").glob("costs-*.json"))
        asked = {
            "start_time": 1790812800,
            "end_time": 1793491200,
            "group_by[]": ["project_id", "line_item", "api_key_id"],
        }
        headers = {"authorization": f"Bearer {twins.secret('openai-main.admin')}"}
        for file in files:
            answer = twins.http.get(f"{twins.openai_url}/organization/costs", params=asked, headers=headers)
            assert json.loads(answer.text, parse_float=Decimal) == json.loads(file.read_text(), parse_float=Decimal)
            asked["page"] = answer.json()["next_page"]
        assert asked["page"] is None
    finally:
        twins.kill()


def test_what_has_no_price_is_an_error_and_no_zero(billed: Twins, tmp_path: Path) -> None:
    day = _midnight() - 50 * 86_400
    named = {"provider": "openai", "account": "openai-main", "project": PROJECT, "key_id": str(uuid.uuid4())}
    told = {**named, "endpoint": "chat.completions", "model": "gpt-6-luna", "tier": "scale", "at": day}
    billed.admin("POST", "/restatements", {**told, "output": 5})
    headers = {"authorization": f"Bearer {billed.secret('openai-main.admin')}"}
    span = {"start_time": day, "end_time": day + 86_400}
    answer = billed.http.get(f"{billed.openai_url}/organization/costs", params=span, headers=headers)
    assert answer.status_code == 500
    assert "no price for openai gpt-6-luna in tier 'scale'" in billed.log()
