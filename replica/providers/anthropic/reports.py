"""`GET /v1/organizations/usage_report/messages` and `…/cost_report`, as Anthropic's API reference describes them.

Amounts are strings of cents: "123.45" is $1.2345.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from replica.providers.anthropic.organization import administered, moment
from replica.providers.billing import buckets
from replica.providers.billing.buckets import USAGE_LIMITS, Page, Query
from replica.providers.billing.lines import WEB_SEARCH, Line, lines
from replica.providers.billing.prices import Prices
from replica.providers.billing.source import TruthSource
from replica.providers.billing.usage import DAY, Source, Usage
from replica.providers.catalogue import find
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.routing import Routes
from replica.providers.twin import Twin

COST_LIMITS = {"1d": (7, 31)}
_COST_GROUPS = ("workspace_id", "description")
_USAGE_GROUPS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo")
_TYPES = {
    "input": ("uncached_input_tokens", "Input Tokens"),
    "cached": ("cache_read_input_tokens", "Input Tokens, Cache Read"),
    "cache_write_5m": ("cache_creation.ephemeral_5m_input_tokens", "Input Tokens, Cache Write"),
    "cache_write_1h": ("cache_creation.ephemeral_1h_input_tokens", "Input Tokens, Cache Write 1h"),
    "output": ("output_tokens", "Output Tokens"),
}


def add_routes(routes: Routes, twin: Twin) -> None:
    """The reports, for holders of an admin key."""

    def report(page: Callable[[Source, Account, Query, float], dict[str, Any]]) -> Callable[..., Any]:
        async def run(twin: Twin, exchange: Exchange, account: Account) -> None:
            source = TruthSource(twin.truth.database, time.time)
            await exchange.answer(200, page(source, account, exchange.query(), time.time()))

        return administered(twin, run)

    routes.add("GET", "/v1/organizations/usage_report/messages", report(usage_report))
    routes.add("GET", "/v1/organizations/cost_report", report(lambda *asked: cost_report(twin.prices, *asked)))


def usage_report(source: Source, account: Account, query: Query, now: float) -> dict[str, Any]:
    """Tokens by class."""
    grouped = buckets.groups(query, _USAGE_GROUPS)
    page = buckets.page(query, *_range(query, now), USAGE_LIMITS)
    by_bucket: dict[int, list[Usage]] = {}
    for row in source.usage(account.name, page.start, page.end):
        if _wanted(row, query):
            by_bucket.setdefault(row.start // page.width * page.width, []).append(row)
    return _paged(page, lambda start: _usage_results(by_bucket.get(start, []), grouped))


def cost_report(prices: Prices, source: Source, account: Account, query: Query, now: float) -> dict[str, Any]:
    """Cents by day. Priority Tier is not in it."""
    grouped = buckets.groups(query, _COST_GROUPS)
    page = buckets.page(query, *_range(query, now), COST_LIMITS)
    found = lines(source.usage(account.name, page.start, page.end), prices)
    return _paged(page, lambda start: _cost_results([line for line in found if line.kind.day == start // DAY], grouped))


def _range(query: Query, now: float) -> tuple[int, int]:
    start, end = buckets.first(query, "starting_at"), buckets.first(query, "ending_at")
    if not start:
        raise Refusal(400, "starting_at: Field required")
    return _unix("starting_at", start), _unix("ending_at", end) if end else int(now)


def _unix(name: str, text: str) -> int:
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"{name}: Input should be a valid datetime in RFC 3339") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)).timestamp())


def _paged(page: Page, results: Callable[[int], list[dict[str, Any]]]) -> dict[str, Any]:
    data = [
        {"starting_at": moment(start), "ending_at": moment(start + page.width), "results": results(start)}
        for start in page.starts
    ]
    return {"data": data, "has_more": page.next_page is not None, "next_page": page.next_page}


def _window(*, long_context: bool) -> str:
    return "200k-1M" if long_context else "0-200k"


def _wanted(row: Usage, query: Query) -> bool:
    wanted = (
        ("workspace_ids", row.project),
        ("api_key_ids", row.key_id),
        ("models", row.model),
        ("service_tiers", row.tier),
        ("context_window", _window(long_context=row.long_context)),
    )
    return all(not query.get(name) or value in query[name] for name, value in wanted)


def _usage_results(rows: Iterable[Usage], grouped: Sequence[str]) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], list[int]] = {}
    columns = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output", "web_searches")
    for row in rows:
        dimensions = {
            "api_key_id": row.key_id,
            "workspace_id": row.project,
            "model": row.model,
            "service_tier": row.tier,
            "context_window": _window(long_context=row.long_context),
            "inference_geo": "not_available",
        }
        key = tuple(dimensions[name] if name in grouped else None for name in _USAGE_GROUPS)
        total = sums.setdefault(key, [0] * len(columns))
        for position, column in enumerate(columns):
            total[position] += getattr(row, column)
    return [
        {**dict(zip(_USAGE_GROUPS, key, strict=True)), **_counts(total)} for key, total in sorted(sums.items(), key=str)
    ]


def _counts(total: Sequence[int]) -> dict[str, Any]:
    uncached, read, write_5m, write_1h, output, searches = total
    return {
        "uncached_input_tokens": uncached,
        "cache_creation": {"ephemeral_1h_input_tokens": write_1h, "ephemeral_5m_input_tokens": write_5m},
        "cache_read_input_tokens": read,
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": searches},
        "account_id": None,
        "service_account_id": None,
    }


def _cost_results(found: Sequence[Line], grouped: Sequence[str]) -> list[dict[str, Any]]:
    """A result for each description, which tells model, class, context and tier apart; else by workspace, or one sum."""
    sums: dict[tuple[Any, ...], Decimal] = {}
    for line in found:
        kind = line.kind
        workspace = kind.project if "workspace_id" in grouped else None
        described = (kind.model, kind.tier, kind.long_context, kind.token_class) if "description" in grouped else None
        sums[workspace, described] = sums.get((workspace, described), Decimal(0)) + line.amount
    return [
        {"currency": "USD", "amount": _cents(amount), "workspace_id": workspace, **_described(described)}
        for (workspace, described), amount in sorted(sums.items(), key=str)
    ]


def _cents(amount: Decimal) -> str:
    return format((amount * 100).normalize(), "f")


def _described(described: tuple[str, str, bool, str] | None) -> dict[str, Any]:
    names = ("description", "cost_type", "model", "token_type", "service_tier", "context_window", "inference_geo")
    if described is None:
        return dict.fromkeys(names)
    model, tier, long_context, token_class = described
    if token_class == WEB_SEARCH:
        return {**dict.fromkeys(names), "description": "Web Search Usage", "cost_type": "web_search"}
    token_type, words = _TYPES[token_class]
    known = find("anthropic", model)
    shown = known.display_name if known else model
    context = " (200k-1M)" if long_context else ""
    return {
        "description": f"{shown} Usage{context} - {words}",
        "cost_type": "tokens",
        "model": model,
        "token_type": token_type,
        "service_tier": tier,
        "context_window": _window(long_context=long_context),
        "inference_geo": None,
    }
