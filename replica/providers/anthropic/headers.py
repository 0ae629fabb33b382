"""Headers of Anthropic's answers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence

from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.limits import Level

# As documented: "rounded to the nearest thousand".
_ROUNDED_TO = 1000
CURRENT = "2026-10-21"
_VERSIONS = ("2023-06-01", CURRENT)


def build(account: Account | None, project: str, request_id: str, levels: Sequence[Level]) -> dict[str, str]:
    """`request-id`, and what is left of requests and tokens; `tokens` is whichever of the others is scarcer."""
    headers = {"request-id": request_id}
    if account:
        headers["anthropic-organization-id"] = account.organization
    if project:
        headers["anthropic-workspace-id"] = project
    for name, level in _named(levels):
        tokens = level.dimension != "requests"
        remaining = round(level.remaining / _ROUNDED_TO) * _ROUNDED_TO if tokens else level.remaining
        headers[f"anthropic-ratelimit-{name}-limit"] = str(level.limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(min(remaining, level.limit))
        headers[f"anthropic-ratelimit-{name}-reset"] = _moment(level.reset_seconds)
    return headers


def secret(exchange: Exchange) -> str:
    """The key that the caller shows, as `x-api-key` or as a bearer token; Refusal 401 where there is none."""
    shown = exchange.headers.get("x-api-key", "")
    scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
    if not shown and scheme.lower() == "bearer":
        shown = token
    if not shown.strip():
        raise Refusal(401, "x-api-key header is required")
    return shown.strip()


def require_version(exchange: Exchange) -> None:
    """Refusal 400 without `anthropic-version`."""
    version = exchange.headers.get("anthropic-version")
    if version is None:
        raise Refusal(400, "anthropic-version: header is required")
    if version not in _VERSIONS:
        raise Refusal(
            400,
            f'anthropic-version: "{version[:40]}" is not a valid version. See https://docs.claude.com/en/api/versioning',
        )


def _named(levels: Sequence[Level]) -> Iterable[tuple[str, Level]]:
    for level in levels:
        yield level.dimension.replace("_", "-"), level
    parts = [level for level in levels if level.dimension in {"input_tokens", "output_tokens"}]
    if parts and not any(level.dimension == "tokens" for level in levels):
        yield "tokens", min(parts, key=lambda level: level.remaining / level.limit if level.limit else 0)


def _moment(seconds_from_now: float) -> str:
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=math.ceil(seconds_from_now))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
