"""OpenAI's administration: models, service accounts and their keys, admin keys, limits of a project.

`POST …/service_accounts` makes an account together with its key, whose secret is told once; `expires_in_seconds` makes the key
end by itself. Deleting the account ends its keys.
"""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from replica.providers.catalogue import models
from replica.providers.configuration import Account, Limit
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.fields import Fields
from replica.providers.keys import ADMIN, ApiKey
from replica.providers.mishaps import befall
from replica.providers.openai import errors, headers
from replica.providers.openai.api import read_body
from replica.providers.routing import Routes
from replica.providers.twin import Twin

Administered = Callable[..., Awaitable[None]]
# Where an account has no such limit: more than anything can use, for the API has no word for "none".
_UNLIMITED = 10**9


def add_routes(routes: Routes, twin: Twin) -> None:
    """All but inference and bills."""
    routes.add("GET", "/v1/models", functools.partial(_list_models, twin))
    routes.add("GET", "/v1/models/{model}", functools.partial(_show_model, twin))
    project = "/v1/organization/projects/{project}"
    routes.add("GET", f"{project}/service_accounts", administered(twin, _list_service_accounts))
    routes.add("POST", f"{project}/service_accounts", administered(twin, _create_service_account))
    routes.add("GET", f"{project}/service_accounts/{{id}}", administered(twin, _show_service_account))
    routes.add("DELETE", f"{project}/service_accounts/{{id}}", administered(twin, _delete_service_account))
    routes.add("GET", f"{project}/api_keys", administered(twin, _list_keys))
    routes.add("GET", f"{project}/api_keys/{{id}}", administered(twin, _show_key))
    routes.add("DELETE", f"{project}/api_keys/{{id}}", administered(twin, _delete_key))
    routes.add("GET", f"{project}/rate_limits", administered(twin, _list_limits))
    admins = "/v1/organization/admin_api_keys"
    routes.add("GET", admins, administered(twin, _list_admin_keys))
    routes.add("POST", admins, administered(twin, _create_admin_key))
    routes.add("GET", f"{admins}/{{id}}", administered(twin, _show_admin_key))
    routes.add("DELETE", f"{admins}/{{id}}", administered(twin, _delete_admin_key))


def administered(twin: Twin, endpoint: Administered) -> Administered:
    """*endpoint* for holders of an admin key: it gets the twin, the exchange, the account, and the path's segments."""

    async def guarded(exchange: Exchange, *segments: str) -> None:
        secret = headers.bearer(exchange)
        account = twin.administrator("openai", secret)
        if account is None:
            known = twin.keys.find("openai", secret)
            raise Refusal(
                403 if known and known.state == "active" else 401, "", code=None if known else "invalid_api_key"
            )
        await befall(twin, "openai", account.name, exchange)
        await endpoint(twin, exchange, account, *segments)

    return guarded


def page(items: Iterable[dict[str, Any]], exchange: Exchange, *, most: int = 100, usual: int = 20) -> dict[str, Any]:
    """A cursor page: `after` is an id, `limit` at most *most*."""
    query = exchange.query()
    listed = list(items)
    after = query.get("after", [""])[0]
    if after:
        position = next((number for number, item in enumerate(listed) if item["id"] == after), None)
        listed = listed[position + 1 :] if position is not None else []
    limit = _count(query.get("limit", [str(usual)])[0], most)
    shown = listed[:limit]
    ends = {"first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None}
    return {"object": "list", "data": shown, **ends, "has_more": len(listed) > limit}


def _count(text: str, most: int) -> int:
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise errors.invalid_value("limit", f"Invalid 'limit': expected an integer from 1 to {most}.")
    return int(text)


async def _user(twin: Twin, exchange: Exchange) -> Account:
    key = twin.keys.find("openai", headers.bearer(exchange))
    if key is None or key.state != "active":
        raise Refusal(401, "", code="invalid_api_key")
    await befall(twin, "openai", key.account, exchange)
    return twin.accounts[key.account]


async def _list_models(twin: Twin, exchange: Exchange) -> None:
    account = await _user(twin, exchange)
    data = [
        _model(name, each.created)
        for each in models("openai")
        for name in dict.fromkeys((each.name, each.alias))
        if name
    ]
    await exchange.answer(200, {"object": "list", "data": data}, _plain(account))


async def _show_model(twin: Twin, exchange: Exchange, name: str) -> None:
    account = await _user(twin, exchange)
    found = next((each for each in models("openai") if name in {each.name, each.alias}), None)
    if found is None:
        raise errors.unknown_model(name)
    await exchange.answer(200, _model(name, found.created), _plain(account))


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "system"}


def _plain(account: Account) -> dict[str, str]:
    return headers.build(account, "", f"req_{secrets.token_hex(16)}", [])


async def _list_service_accounts(twin: Twin, exchange: Exchange, account: Account, project: str) -> None:
    found = twin.keys.all(account.name, project=project)
    await exchange.answer(200, page([_service_account(key) for key in found], exchange))


async def _show_service_account(twin: Twin, exchange: Exchange, account: Account, project: str, wanted: str) -> None:
    await exchange.answer(200, _service_account(_keys_of(twin, account, project, wanted)[0]))


async def _create_service_account(twin: Twin, exchange: Exchange, account: Account, project: str) -> None:
    if project not in {key.project for key in account.keys}:
        raise Refusal(404, f"No project found with ID '{project[:60]}'.")
    name, expires_at = await _asked_for(twin, exchange)
    service_account = f"user-{secrets.token_hex(12)}"
    key, secret = twin.keys.create(
        account, project=project, name=name, expires_at=expires_at, service_account=service_account
    )
    told = {
        "object": "organization.project.service_account.api_key",
        "value": secret,
        "name": name,
        "id": key.id,
        "created_at": int(key.created_at),
        "expires_at": _whole(key.expires_at),
    }
    await exchange.answer(200, {**_service_account(key), "api_key": told})


async def _delete_service_account(twin: Twin, exchange: Exchange, account: Account, project: str, wanted: str) -> None:
    for key in _keys_of(twin, account, project, wanted):
        twin.keys.set_status(key.id, "deleted")
    gone = {"object": "organization.project.service_account.deleted", "id": wanted, "deleted": True}
    await exchange.answer(200, gone)


async def _list_keys(twin: Twin, exchange: Exchange, account: Account, project: str) -> None:
    found = twin.keys.all(account.name, project=project)
    await exchange.answer(200, page([_api_key(key) for key in found], exchange))


async def _show_key(twin: Twin, exchange: Exchange, account: Account, project: str, wanted: str) -> None:
    await exchange.answer(200, _api_key(_key(twin.keys.all(account.name, project=project), wanted)))


async def _delete_key(twin: Twin, exchange: Exchange, account: Account, project: str, wanted: str) -> None:
    twin.keys.set_status(_key(twin.keys.all(account.name, project=project), wanted).id, "deleted")
    await exchange.answer(200, {"object": "organization.project.api_key.deleted", "id": wanted, "deleted": True})


async def _list_limits(twin: Twin, exchange: Exchange, account: Account, project: str) -> None:
    if project not in {key.project for key in account.keys}:
        raise Refusal(404, f"No project found with ID '{project[:60]}'.")
    rows = [
        _limit(name, twin.oracle.limit(account.name, each.name))
        for each in models("openai")
        for name in dict.fromkeys((each.name, each.alias))
        if name
    ]
    await exchange.answer(200, page(rows, exchange, usual=100))


def _limit(model: str, limit: Limit) -> dict[str, Any]:
    """Of one name of a model: dated ones and aliases are listed alike."""
    return {
        "object": "project.rate_limit",
        "id": f"rl-{model}",
        "model": model,
        "max_requests_per_1_minute": _UNLIMITED if limit.requests is None else limit.requests,
        "max_tokens_per_1_minute": _UNLIMITED if limit.tokens is None else limit.tokens,
    }


async def _list_admin_keys(twin: Twin, exchange: Exchange, account: Account) -> None:
    found = twin.keys.all(account.name, role=ADMIN)
    await exchange.answer(200, page([_admin_key(key) for key in found], exchange))


async def _create_admin_key(twin: Twin, exchange: Exchange, account: Account) -> None:
    name, expires_at = await _asked_for(twin, exchange)
    key, secret = twin.keys.create(account, name=name, expires_at=expires_at, role=ADMIN)
    await exchange.answer(200, {**_admin_key(key), "value": secret})


async def _show_admin_key(twin: Twin, exchange: Exchange, account: Account, wanted: str) -> None:
    await exchange.answer(200, _admin_key(_key(twin.keys.all(account.name, role=ADMIN), wanted)))


async def _delete_admin_key(twin: Twin, exchange: Exchange, account: Account, wanted: str) -> None:
    twin.keys.set_status(_key(twin.keys.all(account.name, role=ADMIN), wanted).id, "deleted")
    await exchange.answer(200, {"object": "organization.admin_api_key.deleted", "id": wanted, "deleted": True})


async def _asked_for(twin: Twin, exchange: Exchange) -> tuple[str, float | None]:
    """The name of a new key, and when it ends."""
    fields = Fields(read_body(await exchange.body(twin.configuration.body_bytes)), errors.invalid_type)
    name, seconds = fields.text("name"), fields.whole("expires_in_seconds")
    if not name:
        raise errors.missing("name")
    if seconds is not None and seconds < 1:
        raise errors.invalid_value("expires_in_seconds", "Invalid 'expires_in_seconds': expected a positive integer.")
    return name, None if seconds is None else time.time() + seconds


def _keys_of(twin: Twin, account: Account, project: str, service_account: str) -> list[ApiKey]:
    found = [key for key in twin.keys.all(account.name, project=project) if key.service_account == service_account]
    if not found:
        raise Refusal(404, f"No service account found with ID '{service_account[:60]}'.")
    return found


def _key(keys: Iterable[ApiKey], wanted: str) -> ApiKey:
    found = next((key for key in keys if key.id == wanted), None)
    if found is None:
        raise Refusal(404, f"No API key found with ID '{wanted[:60]}'.")
    return found


def _admin_key(key: ApiKey) -> dict[str, Any]:
    owner = {"type": "service_account", "object": "organization.user", "id": key.service_account, "role": "owner"}
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.hint,
        "created_at": int(key.created_at),
        "expires_at": _whole(key.expires_at),
        "last_used_at": _whole(key.last_used_at),
        "owner": owner,
    }


def _service_account(key: ApiKey) -> dict[str, Any]:
    return {
        "object": "organization.project.service_account",
        "id": key.service_account,
        "name": key.name,
        "role": "member",
        "created_at": int(key.created_at),
    }


def _api_key(key: ApiKey) -> dict[str, Any]:
    owner = {"id": key.service_account, "name": key.name, "role": "member", "created_at": int(key.created_at)}
    return {
        "object": "organization.project.api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.hint,
        "created_at": int(key.created_at),
        "last_used_at": _whole(key.last_used_at),
        "expires_at": _whole(key.expires_at),
        "owner": {"type": "service_account", "service_account": owner},
        "owner_project_access": "active",
    }


def _whole(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
