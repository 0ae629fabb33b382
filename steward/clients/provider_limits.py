"""The limits that a provider has for an account: as its administration lists them, or as its answers' headers told lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steward.ai.errors import NoAdministration
from steward.ai.limit_drift import DIMENSIONS, AccountLimits, Ours, Source, Theirs, Untold
from steward.ai.limit_readings import anthropic_limits, openai_limits
from steward.clients.provider_asking import Asking
from steward.clients.provider_keys_anthropic import anthropic_headers
from steward.clients.provider_keys_openai import openai_headers
from steward.clients.ratelimit import open_limiter
from steward.clients.secrets import read_secret
from steward.ratelimit import Limits, Ring
from steward.ratelimit.limiter import Limiter
from steward.settings import Provider, Settings

#: As many as OpenAI lists at once.
PAGE = 100
#: Pages of an answer that never ends are no answer.
_MOST_PAGES = 100
# Without `limit` all is one page, as a rule.
_OF_MODELS: Mapping[str, Any] = {"group_type": "model_group"}
# Above whatever a provider tells, so that what may be used of it is what the provider told.
_ENDLESS = 10**12


def administered_limits(settings: Settings, account: str) -> AccountLimits:
    """By the account's admin key. Raises NoAdministration, LimitsUnreadable, ProviderUnavailable and ProviderRefused."""
    provider = settings.providers.get(account)
    if provider is None or provider.admin_key is None or (provider.kind == "openai" and provider.project is None):
        missing = "such account" if provider is None else "admin_key" if provider.admin_key is None else "project"
        raise NoAdministration(
            f"the settings have no {missing} to ask the provider with",
            hint=f"add {'it' if provider is None else missing} to [providers.{account}]: docs/settings.md",
        )
    key = read_secret(provider.admin_key, settings.vault)
    try:
        limits = _openai(provider, key) if provider.kind == "openai" else _anthropic(provider, key)
    except UnicodeError:
        # Not chained: it holds the header, and that the key.
        raise NoAdministration(f"the admin key of {account} cannot be sent", hint="write the secret anew") from None
    return AccountLimits(account=account, source=Source.ADMINISTRATION, limits=limits)


def _openai(provider: Provider, key: str) -> tuple[Theirs, ...]:
    path, rows, query = f"/v1/organization/projects/{provider.project}/rate_limits", list[Any](), {"limit": PAGE}
    with Asking(provider.url, openai_headers(key)) as asking:
        for _ in range(_MOST_PAGES):
            page = _page(asking, path, query)
            rows += page["data"]
            if not page.get("has_more") or not page["data"]:
                break
            query = {"limit": PAGE, "after": page.get("last_id")}
    return openai_limits(rows)


def _anthropic(provider: Provider, key: str) -> tuple[Theirs, ...]:
    with Asking(provider.url, anthropic_headers(key)) as asking:
        rows = _cursored(asking, "/v1/organizations/rate_limits")
        own = list[Any]()
        if provider.project:
            own = _cursored(asking, f"/v1/organizations/workspaces/{provider.project}/rate_limits")
    return anthropic_limits(rows, own)


def _cursored(asking: Asking, path: str) -> list[Any]:
    rows, query = list[Any](), dict(_OF_MODELS)
    for _ in range(_MOST_PAGES):
        page = _page(asking, path, query)
        rows += page["data"]
        if not (after := page.get("next_page")):
            break
        query = {**query, "page": after}
    return rows


def _page(asking: Asking, path: str, query: dict[str, Any]) -> dict[str, Any]:
    page = asking.ask("GET", path, params=query)
    if not isinstance(page, dict) or "data" not in page:
        raise NoAdministration(
            f"{asking.url} knows no {path}", hint="compare project in [providers.…] with the provider's console"
        )
    return page  # pyright: ignore[reportUnknownVariableType]  JSON: its rows are validated


def observed_limits(settings: Settings, account: str, ours: Sequence[Ours], why: str) -> AccountLimits | Untold:
    """By the headers of answers in the last ten minutes, as the limiter keeps them; *why* the administration did not tell.

    Raises what the limiter raises.
    """
    provider = settings.providers.get(account)
    found: list[Theirs] = []
    if provider is not None and settings.redis is not None:
        with open_limiter(settings) as limiter:
            read = [_observed(limiter, provider.kind, each) for each in ours]
            found = [each for each in read if each is not None]
    if not found:
        return Untold(
            account=account, reason=f"{why}, and no answer's headers told of its limits in the last ten minutes"
        )
    return AccountLimits(account=account, source=Source.HEADERS, limits=tuple(found), note=why)


def _observed(limiter: Limiter, kind: str, ours: Ours) -> Theirs | None:
    state = limiter.show(Ring(f"{kind}:{ours.name}"), Limits(_ENDLESS, _ENDLESS, _ENDLESS, _ENDLESS))
    # Shrunk by a 429, what may be used is not what the provider told.
    if not state.known or state.stale or state.factor < 1 or state.allowed is None:
        return None
    told = {name: state.allowed[name] for name in DIMENSIONS if state.allowed[name] not in {None, _ENDLESS}}
    return Theirs(models=(ours.model,), **told) if told else None
