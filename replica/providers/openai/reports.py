"""`GET /v1/organization/costs` and `…/usage/completions`, `…/usage/embeddings`: shapes of `openai/types/admin`.

Pages are functions of a source, so a generated month has the same ones as files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from replica.providers.billing import buckets
from replica.providers.billing.buckets import USAGE_LIMITS, Page, Query
from replica.providers.billing.lines import Line, lines
from replica.providers.billing.prices import Prices
from replica.providers.billing.source import TruthSource
from replica.providers.billing.usage import DAY, Source, Usage
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.openai.organization import administered
from replica.providers.routing import Routes
from replica.providers.twin import Twin

COST_LIMITS = {"1d": (7, 180)}
_COST_GROUPS = ("project_id", "line_item", "api_key_id", "user_id")
_USAGE_GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
_NAMES = {"input": "input", "cached": "cached input", "cache_write_30m": "cache write", "output": "output"}
_CHAT = "chat.completions"


def add_routes(routes: Routes, twin: Twin) -> None:
    """The reports, for holders of an admin key."""

    def report(page: Callable[[Source, Account, Query, float], dict[str, Any]]) -> Callable[..., Any]:
        async def run(twin: Twin, exchange: Exchange, account: Account) -> None:
            source = TruthSource(twin.truth.database, time.time)
            await exchange.answer(200, page(source, account, exchange.query(), time.time()))

        return administered(twin, run)

    routes.add("GET", "/v1/organization/costs", report(lambda *asked: costs(twin.prices, *asked)))
    routes.add("GET", "/v1/organization/usage/completions", report(completions))
    routes.add("GET", "/v1/organization/usage/embeddings", report(embeddings))


def costs(prices: Prices, source: Source, account: Account, query: Query, now: float) -> dict[str, Any]:
    """Dollars by day; the line items of a model are `MODEL, input`, `MODEL, cached input`, `MODEL, output`."""
    grouped = buckets.groups(query, _COST_GROUPS)
    page = buckets.page(query, *_range(query, now), COST_LIMITS)
    found = lines(source.usage(account.name, page.start, page.end), prices)
    kept = [line for line in found if _line_wanted(line, query)]
    return _paged(page, lambda start: _cost_results([line for line in kept if line.kind.day == start // DAY], grouped))


def completions(source: Source, account: Account, query: Query, now: float) -> dict[str, Any]:
    """Tokens; `input_tokens` includes those from the cache."""
    return _usage(source, account, query, now, _CHAT)


def embeddings(source: Source, account: Account, query: Query, now: float) -> dict[str, Any]:
    """Tokens of embeddings."""
    return _usage(source, account, query, now, "embeddings")


def line_item(line: Line) -> str:
    """Its name in the report: a tier other than the default one stands behind it."""
    kind = line.kind
    name = _NAMES.get(kind.token_class, kind.token_class)
    return f"{kind.model}, {name}" + ("" if kind.tier == "default" else f", {kind.tier}")


def _range(query: Query, now: float) -> tuple[int, int]:
    start, end = buckets.first(query, "start_time"), buckets.first(query, "end_time")
    if not start.isdigit() or (end and not end.isdigit()):
        raise Refusal(400, "start_time: expected Unix seconds", param="start_time")
    return int(start), int(end) if end else int(now)


def _paged(page: Page, results: Callable[[int], list[dict[str, Any]]]) -> dict[str, Any]:
    data = [
        {"object": "bucket", "start_time": start, "end_time": start + page.width, "results": results(start)}
        for start in page.starts
    ]
    return {"object": "page", "data": data, "has_more": page.next_page is not None, "next_page": page.next_page}


def _line_wanted(line: Line, query: Query) -> bool:
    wanted = (("project_ids", line.kind.project), ("api_key_ids", line.kind.key_id), ("line_items", line_item(line)))
    return all(not query.get(name) or value in query[name] for name, value in wanted)


def _cost_results(found: Sequence[Line], grouped: Sequence[str]) -> list[dict[str, Any]]:
    sums: dict[tuple[str | None, ...], list[Any]] = {}
    for line in found:
        dimensions = {"project_id": line.kind.project, "line_item": line_item(line), "api_key_id": line.kind.key_id}
        key = tuple(
            dimensions.get(name) if name in grouped else None for name in ("project_id", "line_item", "api_key_id")
        )
        total = sums.setdefault(key, [0, Decimal(0)])
        total[0] += line.quantity
        total[1] += line.amount
    return [
        {
            "object": "organization.costs.result",
            "amount": {"value": amount, "currency": "usd"},
            "line_item": item,
            "project_id": project,
            "api_key_id": key_id,
            "user_id": None,
            "quantity": quantity if item else None,
            "quantity_unit": "tokens" if item else None,
        }
        for (project, item, key_id), (quantity, amount) in sorted(sums.items(), key=str)
    ]


def _usage(source: Source, account: Account, query: Query, now: float, endpoint: str) -> dict[str, Any]:
    grouped = buckets.groups(query, _USAGE_GROUPS)
    page = buckets.page(query, *_range(query, now), USAGE_LIMITS)
    by_bucket: dict[int, list[Usage]] = {}
    for row in source.usage(account.name, page.start, page.end):
        if row.endpoint == endpoint and _usage_wanted(row, query):
            by_bucket.setdefault(row.start // page.width * page.width, []).append(row)
    return _paged(page, lambda start: _usage_results(by_bucket.get(start, []), grouped, endpoint))


def _usage_wanted(row: Usage, query: Query) -> bool:
    wanted = (("project_ids", row.project), ("api_key_ids", row.key_id), ("models", row.model))
    return all(not query.get(name) or value in query[name] for name, value in wanted)


def _usage_results(rows: Iterable[Usage], grouped: Sequence[str], endpoint: str) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        dimensions = {
            "project_id": row.project,
            "api_key_id": row.key_id,
            "model": row.model,
            "batch": False,
            "service_tier": row.tier,
        }
        key = tuple(dimensions.get(name) if name in grouped else None for name in _USAGE_GROUPS)
        total = sums.setdefault(key, [0, 0, 0, 0, 0])
        for position, value in enumerate(
            (row.input_tokens, row.cache_read, row.cache_write_30m, row.output, row.requests)
        ):
            total[position] += value
    results = (
        {**dict(zip(_USAGE_GROUPS, key, strict=True)), **_counts(total)} for key, total in sorted(sums.items(), key=str)
    )
    if endpoint == _CHAT:
        return [{"object": "organization.usage.completions.result", **each} for each in results]
    shown = ("project_id", "user_id", "api_key_id", "model", "input_tokens", "num_model_requests")
    return [
        {"object": "organization.usage.embeddings.result", **{name: each[name] for name in shown}} for each in results
    ]


def _counts(total: Sequence[int]) -> dict[str, int]:
    tokens, cached, written, output, requests = total
    return {
        "input_tokens": tokens,
        "input_cached_tokens": cached,
        "input_uncached_tokens": tokens - cached - written,
        "input_cache_write_tokens": written,
        "input_cache_write_30m_tokens": written,
        "input_cache_write_12h_tokens": 0,
        "output_tokens": output,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "num_model_requests": requests,
    }
