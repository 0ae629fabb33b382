"""Anthropic's administration: models, API keys, limits. Keys are listed, renamed, switched off; none is made by API."""

from __future__ import annotations

import datetime as dt
import functools
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from replica.providers.anthropic import errors, headers
from replica.providers.anthropic.messages import read_body
from replica.providers.catalogue import Model, models
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.keys import ApiKey
from replica.providers.mishaps import befall
from replica.providers.routing import Routes
from replica.providers.twin import Twin

Administered = Callable[..., Awaitable[None]]
_MOST_LISTED = 1000
_FIRST_VERSION = "2023-06-01"
_STATUSES = ("active", "inactive", "archived")


def add_routes(routes: Routes, twin: Twin) -> None:
    """All but inference and bills."""
    routes.add("GET", "/v1/models", functools.partial(_list_models, twin))
    routes.add("GET", "/v1/models/{model}", functools.partial(_show_model, twin))
    routes.add("GET", "/v1/organizations/api_keys", administered(twin, _list_keys))
    routes.add("GET", "/v1/organizations/api_keys/{id}", administered(twin, _show_key))
    routes.add("POST", "/v1/organizations/api_keys/{id}", administered(twin, _change_key))
    routes.add("GET", "/v1/organizations/rate_limits", administered(twin, _list_limits))
    routes.add("GET", "/v1/organizations/workspaces/{id}/rate_limits", administered(twin, _list_workspace_limits))


def administered(twin: Twin, endpoint: Administered) -> Administered:
    """*endpoint* for holders of an admin key: it gets the twin, the exchange, the account, and the path's segments."""

    async def guarded(exchange: Exchange, *segments: str) -> None:
        secret = headers.secret(exchange)
        headers.require_version(exchange)
        account = twin.administrator("anthropic", secret)
        if account is None:
            known = twin.keys.find("anthropic", secret)
            raise Refusal(403 if known and known.state == "active" else 401, "")
        await befall(twin, "anthropic", account.name, exchange)
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


async def _user(twin: Twin, exchange: Exchange) -> None:
    key = twin.keys.find("anthropic", headers.secret(exchange))
    headers.require_version(exchange)
    if key is None or key.state != "active":
        raise Refusal(401, "")
    await befall(twin, "anthropic", key.account, exchange)


async def _list_models(twin: Twin, exchange: Exchange) -> None:
    await _user(twin, exchange)
    await exchange.answer(200, page([_model(each) for each in models("anthropic")], exchange), _plain())


async def _show_model(twin: Twin, exchange: Exchange, name: str) -> None:
    await _user(twin, exchange)
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
    rows = [_limit(model, values) for model, values in _limited(twin, account)]
    if wanted := exchange.query().get("model", [""])[0]:
        rows = [row for row in rows if wanted in row["models"]]
        if not rows:
            raise Refusal(404, f"model: {wanted[:80]}")
    rows = [_as_at_first(row, exchange) for row in rows]
    await exchange.answer(200, _cursor_page(rows, exchange), _plain())


async def _list_workspace_limits(twin: Twin, exchange: Exchange, account: Account, workspace: str) -> None:
    """No workspace has limits of its own here, so all that it has is inherited, and listed where somebody asks for that."""
    if workspace not in {key.project for key in account.keys}:
        raise Refusal(404, f"workspace: {workspace[:80]}")
    rows: list[dict[str, Any]] = []
    if exchange.query().get("include_inherited", [""])[0] == "true":
        rows = [_inherited(workspace, _limit(model, values)) for model, values in _limited(twin, account)]
    rows = [_as_at_first(row, exchange) for row in rows]
    await exchange.answer(200, _cursor_page(rows, exchange), _plain())


def _limited(twin: Twin, account: Account) -> Iterator[tuple[Model, list[dict[str, Any]]]]:
    """Each model, which is a group of its own here, and its limits."""
    for model in models("anthropic"):
        limit = twin.oracle.limit(account.name, model.name)
        values = (
            ("requests_per_minute", limit.requests),
            ("input_tokens_per_minute_cache_aware", limit.input_tokens),
            ("output_tokens_per_minute", limit.output_tokens),
        )
        if told := [{"type": name, "value": value} for name, value in values if value is not None]:
            yield model, told


def _limit(model: Model, values: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "rate_limit",
        "id": f"rl_{model.name}",
        "group": {"type": "model_group", "id": f"group_{model.name}", "display_name": model.display_name},
        "models": [name for name in (model.name, model.alias) if name],
        "limits": values,
    }


def _as_at_first(row: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    """Version 2023-06-01 documents `group_type` in the place of the group, and no ids."""
    if exchange.headers["anthropic-version"] != _FIRST_VERSION:
        return row
    told = {name: value for name, value in row.items() if name not in {"group", "id", "rate_limit_id", "workspace_id"}}
    return {"group_type": row["group"]["type"], **told}


def _inherited(workspace: str, limit: dict[str, Any]) -> dict[str, Any]:
    values = [{**each, "org_limit": each["value"], "source": {"type": "organization"}} for each in limit.pop("limits")]
    named = {"type": "workspace_rate_limit", "workspace_id": workspace, "rate_limit_id": limit.pop("id")}
    return {**limit, **named, "limits": values}


def _cursor_page(rows: list[dict[str, Any]], exchange: Exchange) -> dict[str, Any]:
    """All of them, or `limit` from the opaque cursor `page` on."""
    query = exchange.query()
    limit, cursor = query.get("limit", [str(_MOST_LISTED)])[0], query.get("page", ["0"])[0].removeprefix("page_")
    if not limit.isdigit() or not 1 <= int(limit) <= _MOST_LISTED or not cursor.isdigit():
        raise errors.invalid(f"limit: Input should be from 1 to {_MOST_LISTED}")
    start, end = int(cursor), int(cursor) + int(limit)
    return {"data": rows[start:end], "next_page": f"page_{end}" if end < len(rows) else None}


def moment(unix: float) -> str:
    """RFC 3339 in UTC."""
    return dt.datetime.fromtimestamp(int(unix), dt.UTC).isoformat().replace("+00:00", "Z")
