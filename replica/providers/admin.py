"""What a test may ask and set behind the providers' backs. A bearer token guards it: loopback is everybody's on a machine."""

from __future__ import annotations

import dataclasses
import functools
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from replica.providers.billing import invoices, restatements
from replica.providers.billing.source import TruthSource
from replica.providers.configuration import Limit
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, loads
from replica.providers.routing import Endpoint, Routes
from replica.providers.twin import Twin

_FILTERS = ("provider", "account", "client_request_id", "key_id", "outcome")
_MOST_ROWS = 10_000
_BODY_BYTES = 1024 * 1024


def add_routes(routes: Routes, twin: Twin) -> None:
    """All of the administration."""
    token = Path(twin.configuration.admin_token_file).read_text().strip()
    guarded = functools.partial(_guarded, twin, token)
    routes.add("GET", "/admin/health", guarded(_health))
    routes.add("GET", "/admin/attempts", guarded(_attempts))
    routes.add("GET", "/admin/totals", guarded(_totals))
    routes.add("GET", "/admin/violations", guarded(_violations))
    routes.add("PUT", "/admin/limits", guarded(_set_limits))
    routes.add("GET", "/admin/dials", guarded(_dials))
    routes.add("POST", "/admin/dials", guarded(_lay_dial))
    routes.add("DELETE", "/admin/dials", guarded(_clear_dials))
    routes.add("POST", "/admin/begin-anew", guarded(_begin_anew))
    routes.add("POST", "/admin/restatements", guarded(_restate))
    routes.add("POST", "/admin/credits", guarded(_credit))
    routes.add("POST", "/admin/months", guarded(_take_in_month))
    routes.add("GET", "/admin/invoices/{account}/{month}", guarded(_invoice))


def _guarded(twin: Twin, token: str, endpoint: Callable[..., Awaitable[None]]) -> Endpoint:
    async def run(exchange: Exchange, *segments: str) -> None:
        shown = exchange.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), token.encode()):
            raise Refusal(401, "the administration takes the token of the replica's secret providers.twin")
        await endpoint(twin, exchange, *segments)

    return run


async def _health(twin: Twin, exchange: Exchange) -> None:
    attempts = sum(row["attempts"] for row in twin.truth.totals())
    await exchange.answer(200, {"seed": twin.seed, "attempts": attempts, "limits": twin.oracle.mode})


async def _attempts(twin: Twin, exchange: Exchange) -> None:
    query = exchange.query()
    after, limit = _whole(query, "after", 0), _whole(query, "limit", 1000)
    if not 1 <= limit <= _MOST_ROWS:
        raise Refusal(400, f"limit is {limit}, expected 1 to {_MOST_ROWS}")
    rows = twin.truth.page(after, limit + 1, {name: query[name][0] for name in _FILTERS if name in query})
    shown = rows[:limit]
    last = shown[-1]["seq"] if shown else after
    await exchange.answer(200, {"data": shown, "has_more": len(rows) > limit, "last": last})


async def _totals(twin: Twin, exchange: Exchange) -> None:
    await exchange.answer(200, {"data": twin.truth.totals()})


async def _violations(twin: Twin, exchange: Exchange) -> None:
    await exchange.answer(200, twin.oracle.report())


async def _set_limits(twin: Twin, exchange: Exchange) -> None:
    body = await _body(exchange)
    mode = body.get("mode", twin.oracle.mode)
    if mode not in {"enforce", "observe", "off"}:
        raise Refusal(400, f"mode is {mode!r}, expected enforce, observe or off")
    twin.oracle.mode = mode
    for each in body.get("limits", []):
        fields = {name: value for name, value in each.items() if name != "account"}
        if each.get("account") not in twin.accounts or set(fields) - {
            field.name for field in dataclasses.fields(Limit)
        }:
            raise Refusal(400, f"a limit names an account of {', '.join(twin.accounts)}, a model, and its dimensions")
        twin.oracle.change(each["account"], Limit(**fields))
    await exchange.answer(200, twin.oracle.report())


async def _dials(twin: Twin, exchange: Exchange) -> None:
    await exchange.answer(200, {"data": twin.dials.report()})


async def _lay_dial(twin: Twin, exchange: Exchange) -> None:
    twin.dials.lay(await _body(exchange))
    await exchange.answer(200, {"data": twin.dials.report()})


async def _clear_dials(twin: Twin, exchange: Exchange) -> None:
    twin.dials.clear()
    await exchange.answer(200, {"data": []})


async def _begin_anew(twin: Twin, exchange: Exchange) -> None:
    twin.begin_anew()
    await exchange.answer(200, {"seed": twin.seed})


async def _restate(twin: Twin, exchange: Exchange) -> None:
    restatements.add(twin.truth.database, await _body(exchange))
    await exchange.answer(200, {"restated": True})


async def _take_in_month(twin: Twin, exchange: Exchange) -> None:
    # DuckDB is no part of a server's start.
    from replica.providers import month  # noqa: PLC0415

    folder = Path(str((await _body(exchange)).get("folder", "")))
    if not (folder / "usage.parquet").exists():
        raise Refusal(400, f"{folder} holds no month: make one by `python -m replica.providers month`")
    taken = restatements.take_in(twin.truth.database, month.usage(folder))
    await exchange.answer(200, {"taken_in": taken})


async def _credit(twin: Twin, exchange: Exchange) -> None:
    invoices.grant(twin.truth.database, await _body(exchange))
    await exchange.answer(200, {"granted": True})


async def _invoice(twin: Twin, exchange: Exchange, account: str, month: str) -> None:
    if account not in twin.accounts:
        raise Refusal(404, f"no account {account[:40]}: there are {', '.join(twin.accounts)}")
    source = TruthSource(twin.truth.database, time.time)
    granted = invoices.credits_of(twin.truth.database, account, month)
    await exchange.answer(200, invoices.invoice(twin.prices, source, twin.accounts[account], month, granted))


async def _body(exchange: Exchange) -> dict[str, Any]:
    try:
        body = loads(await exchange.body(_BODY_BYTES))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body is no JSON object")
    return cast("dict[str, Any]", body)


def _whole(query: Mapping[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not text.isdigit():
        raise Refusal(400, f"{name} is {text[:20]!r}, expected a whole number")
    return int(text)
