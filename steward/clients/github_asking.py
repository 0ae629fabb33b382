"""One request to GitHub's API, https://docs.github.com/en/rest, version 2022-11-28, in words that hold neither token nor body.

Not by `httpx.Client`, which logs addresses.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from steward.clients.authorities import authorities
from steward.errors import BadInput, Unavailable

#: A payload is at most 25 MB at GitHub; with the headers and the answer beside it, and escapes.
MOST_BYTES = 64 << 20
_VERSION = "2022-11-28"
#: Longer than a step's last pause, so that asking again before it is over would only make it longer.
_LONGEST_PAUSE_SECONDS = 30.0


class GitHubAway(Unavailable):
    """GitHub does not answer, or not now. `retry_after_seconds`: when it says that it will.

    Transient, unless that is later than anybody here waits: who asks again before is kept out longer.
    """

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds
        self.transient = retry_after_seconds <= _LONGEST_PAUSE_SECONDS


class GitHubRefused(BadInput):
    """GitHub answers, and not with what was asked for. `status` is its own; 0: the answer cannot be used."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Answered(NamedTuple):
    """A success: its JSON, and the address of the page after it."""

    body: Any
    following: str | None


def exchange(method: str, url: str, bearer: str, body: object = None, *, seconds: float = 10.0) -> Answered:
    """What it answers to one request, within *seconds* for each of connecting, sending and reading.

    Raises GitHubAway and GitHubRefused. *url* is asked as it is: whoever has it from an answer or a payload looks at it first.
    """
    asked = f"{method} {urlsplit(url).path}"
    request = _request(method, url, bearer, body, seconds)
    try:
        with httpx.HTTPTransport(verify=authorities(), trust_env=False) as transport:
            answer = transport.handle_request(request)
            read = _read(answer, asked)
            answer.close()
    except httpx.HTTPError as error:
        # Not chained: the error holds the request, and that the token.
        told = f"GitHub does not answer {asked}: {type(error).__name__}"
        raise GitHubAway(told, hint="see https://www.githubstatus.com; compare url in the settings") from None
    if not answer.is_success:
        raise _refusal(answer, asked)
    return Answered(_json(read, asked), _following(answer))


def _request(method: str, url: str, bearer: str, body: object, seconds: float) -> httpx.Request:
    headers = {
        "authorization": f"Bearer {bearer}",
        "accept": "application/vnd.github+json",
        "x-github-api-version": _VERSION,
        "user-agent": "steward",
    }
    timeout: dict[str, Any] = httpx.Timeout(seconds).as_dict()
    try:
        return httpx.Request(method, url, headers=headers, json=body, extensions={"timeout": timeout})
    except (UnicodeError, ValueError, httpx.InvalidURL):
        # Raised outside, so that what it quotes is not chained.
        pass
    raise BadInput("GitHub cannot be asked: the token or the address cannot be sent", hint="write the secret anew")


def _read(answer: httpx.Response, asked: str) -> bytes:
    read = bytearray()
    for part in answer.iter_bytes():
        read += part
        if len(read) > MOST_BYTES:
            raise GitHubRefused(f"GitHub answers {asked} with more than {MOST_BYTES:,} bytes")
    return bytes(read)


def _json(read: bytes, asked: str) -> Any:
    if not read:
        return None
    try:
        return json.loads(read)
    except ValueError:
        raise GitHubRefused(
            f"GitHub answers {asked} with something else than JSON", hint="compare url in the settings with its API's"
        ) from None


def _following(answer: httpx.Response) -> str | None:
    return answer.links.get("next", {}).get("url")


def _refusal(answer: httpx.Response, asked: str) -> GitHubAway | GitHubRefused:
    """Its text is not told: it may quote what was sent."""
    status = answer.status_code
    told = f"GitHub answers {asked} with {status}"
    if answer.is_server_error:
        return GitHubAway(told, hint="see https://www.githubstatus.com", retry_after_seconds=_pause(answer.headers))
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and limited):
        # https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: a minute where it says nothing.
        pause = _pause(answer.headers) or 60.0
        return GitHubAway(f"{told}: asked too often", hint="what else uses this token?", retry_after_seconds=pause)
    return GitHubRefused(told, hint=_HINTS.get(status, "compare what was asked with GitHub's reference"), status=status)


_HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the token has ended or was revoked: make another, and write it where the settings refer to",
    HTTPStatus.FORBIDDEN: "the token may not: see docs/webhooks.md for the permissions that it needs",
    HTTPStatus.NOT_FOUND: "it is not there, or the token may not see it: compare repository and hook in the settings, "
    "and the token's permissions",
}


def _pause(headers: httpx.Headers) -> float:
    """Seconds, by `retry-after`, else until the limit is counted anew; 0: nothing is told."""
    after, remaining = headers.get("retry-after", ""), headers.get("x-ratelimit-remaining")
    if after.isascii() and after.isdigit():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    return max(0.0, float(reset) - time.time()) if remaining == "0" and reset.isascii() and reset.isdigit() else 0.0
