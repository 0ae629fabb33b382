"""Anthropic's administration: models, API keys, limits. Keys are listed, renamed, switched off; none is made by API."""

from __future__ import annotations

import datetime as dt
import functools
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from replica.providers.anthropic import errors, headers
from replica.providers.anthropic.messages import read_body
from replica.providers.catalogue import Model, models
from replica.providers.configuration import Account, Limit
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.keys import ApiKey
from replica.providers.routing import Routes
from replica.providers.twin import Twin

Administered = Callable[..., Awaitable[None]]
_STATUSES = ("active", "inactive", "archived")


def add_routes(routes: Routes, twin: Twin) -> None:
    """All but inference and bills."""
    routes.add("GET", "/v1/models", functools.partial(_list_models, twin))
    routes.add("GET", "/v1/models/{model}", functools.partial(_show_model, twin))
    routes.add("GET", "/v1/organizations/api_keys", administered(twin, _list_keys))
    routes.add("GET", "/v1/organizations/api_keys/{id}", administered(twin, _show_key))
    routes.add("POST", "/v1/organizations/api_keys/{id}", administered(twin, _change_key))
    routes.add("GET", "/v1/organizations/rate_limits", administered(twin, _list_limits))


def administered(twin: Twin, endpoint: Administered) -> Administered:
    """*endpoint* for holders of an admin key: it gets the twin, the exchange, the account, and the path's segments."""

    async def guarded(exchange: Exchange, *segments: str) -> None:
        secret = headers.secret(exchange)
        headers.require_version(exchange)
        account = twin.administrator("anthropic", secret)
        if account is None:
            known = twin.keys.find("anthropic", secret)
            raise Refusal(403 if known and known.state == "active" else 401, "")
        await endpoint(twin, exchange, account, *segments)

    return guarded


def page(items: list[dict[str, Any]], exchange: Exchange, *, most: int = 1000) -> dict[str, Any]:
    """A cursor page: `after_id`, `before_id`, `limit`."""
    query = exchange.query()
    ids = [item["id"] for item in items]
    limit = query.get("limit", ["20"])[0]
    if not limit.isdigit() or not 1 <= int(limit) <= most:
        raise errors.invalid(f"limit: Input should be from 1 to {most}")
    count = int(limit)
    start, stop = 0, len(items)
    if after := query.get("after_id", [""])[0]:
        start = ids.index(after) + 1 if after in ids else stop
    if before := query.get("before_id", [""])[0]:
        stop = ids.index(before) if before in ids else 0
        start = max(start, stop - count)
        return _page(items[start:stop], more=start > 0)
    return _page(items[start : start + count], more=start + count < stop)


def _page(shown: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    ends = {"first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None}
    return {"data": shown, "has_more": more, **ends}


def _plain() -> dict[str, str]:
    return {"request-id": f"req_{secrets.token_hex(12)}"}


def _user(twin: Twin, exchange: Exchange) -> None:
    key = twin.keys.find("anthropic", headers.secret(exchange))
    headers.require_version(exchange)
    if key is None or key.state != "active":
        raise Refusal(401, "")


async def _list_models(twin: Twin, exchange: Exchange) -> None:
    _user(twin, exchange)
    await exchange.answer(200, page([_model(each) for each in models("anthropic")], exchange), _plain())


async def _show_model(twin: Twin, exchange: Exchange, name: str) -> None:
    _user(twin, exchange)
    found = next((each for each in models("anthropic") if name in {each.name, each.alias}), None)
    if found is None:
        raise Refusal(404, f"model: {name[:80]}")
    await exchange.answer(200, _model(found), _plain())


def _model(model: Model) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.display_name,
        "created_at": moment(model.created),
        "lifecycle": "active",
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.output_tokens,
    }


async def _list_keys(twin: Twin, exchange: Exchange, account: Account) -> None:
    query = exchange.query()
    workspace, status = query.get("workspace_id", [None])[0], query.get("status", [None])[0]
    found = [key for key in twin.keys.all(account.name, project=workspace) if status in {None, key.state}]
    await exchange.answer(200, page([_key(key) for key in found], exchange), _plain())


async def _show_key(twin: Twin, exchange: Exchange, account: Account, wanted: str) -> None:
    await exchange.answer(200, _key(_find(twin, account, wanted)), _plain())


async def _change_key(twin: Twin, exchange: Exchange, account: Account, wanted: str) -> None:
    body = read_body(await exchange.body(twin.configuration.body_bytes))
    key = _find(twin, account, wanted)
    status, name = body.get("status") or key.status, body.get("name")
    if status not in _STATUSES:
        raise errors.invalid(f"status: Input should be {', '.join(_STATUSES)}")
    if key.status == "archived" and status != "archived":
        raise errors.invalid("status: an archived key cannot be changed")
    twin.keys.set_status(key.id, status, name if isinstance(name, str) else None)
    await exchange.answer(200, _key(_find(twin, account, wanted)), _plain())


def _find(twin: Twin, account: Account, wanted: str) -> ApiKey:
    found = next((key for key in twin.keys.all(account.name) if key.id == wanted), None)
    if found is None:
        raise Refusal(404, f"api_key: {wanted[:80]}")
    return found


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "type": "api_key",
        "id": key.id,
        "name": key.name,
        "created_at": moment(key.created_at),
        "created_by": {"id": key.service_account, "type": "user"},
        "expires_at": None if key.expires_at is None else moment(key.expires_at),
        "partial_key_hint": key.hint,
        "status": key.state,
        "workspace_id": key.project,
        "scope": {"type": "workspace", "workspace_id": key.project},
    }


async def _list_limits(twin: Twin, exchange: Exchange, account: Account) -> None:
    rows = [_limit(each) for each in twin.oracle.configured(account.name)]
    await exchange.answer(200, {"data": rows, "next_page": None}, _plain())


def _limit(limit: Limit) -> dict[str, Any]:
    values = (
        ("requests_per_minute", limit.requests),
        ("input_tokens_per_minute_cache_aware", limit.input_tokens),
        ("output_tokens_per_minute", limit.output_tokens),
    )
    group = {"type": "model_group", "id": f"group_{limit.model}", "display_name": limit.model}
    return {
        "type": "rate_limit",
        "id": f"rl_{limit.model}",
        "group": group,
        "models": [limit.model],
        "limits": [{"type": name, "value": value} for name, value in values if value is not None],
    }


def moment(unix: float) -> str:
    """RFC 3339 in UTC."""
    return dt.datetime.fromtimestamp(int(unix), dt.UTC).isoformat().replace("+00:00", "Z")
