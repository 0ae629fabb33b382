"""What GitHub says that it delivered: https://docs.github.com/en/rest/repos/webhooks, deliveries of a repository webhook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from pydantic import AwareDatetime, ValidationError

from steward.clients.github_api import GitHub
from steward.clients.github_asking import GitHubRefused
from steward.webhooks.reconciling import Listed

_PAGE = 100


class Whole(NamedTuple):
    """One delivery as `github.read` takes it: headers by lower-case names, and a body."""

    headers: dict[str, str]
    body: bytes
    """The payload as JSON written anew. Its bytes are not those that were signed: by these a delivery is not known again."""


def listed_since(github: GitHub, hook: int, since: AwareDatetime) -> Iterator[Listed]:
    """The newest first; each attempt is one, so a guid may come several times. Raises GitHubAway, GitHubRefused."""
    for page in github.pages(f"/hooks/{hook}/deliveries?per_page={_PAGE}"):
        found = [_listed(each) for each in page]
        yield from (each for each in found if each.delivered_at >= since)
        if found and found[-1].delivered_at < since:
            return


def whole(github: GitHub, hook: int, listed: Listed) -> Whole:
    """With its payload. Raises GitHubAway, GitHubRefused."""
    answer = github.get(f"/hooks/{hook}/deliveries/{listed.id}")
    request = cast("dict[str, Any]", answer).get("request") if isinstance(answer, dict) else None
    payload = cast("dict[str, Any]", request).get("payload") if isinstance(request, dict) else None
    if not isinstance(payload, dict):
        raise GitHubRefused(
            f"GitHub tells no payload of delivery {listed.id}", hint="look at it in the webhook's settings"
        )
    headers = {"x-github-delivery": listed.guid, "x-github-event": listed.event}
    return Whole(headers, json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())


def _listed(told: object) -> Listed:
    try:
        return Listed.model_validate(told)
    except ValidationError:
        raise GitHubRefused(
            "GitHub lists deliveries otherwise than it documents",
            hint="compare its reference; a new release of Steward",
        ) from None
