"""One HTTP request to somebody who is told, in words that hold neither its address nor what was sent.

Not by `httpx.Client`, which logs each request's address: a webhook's is its secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from steward.clients.authorities import authorities
from steward.errors import BadInput
from steward.notices.errors import ReceiverRefused, ReceiverUnavailable
from steward.settings import LOOPBACK

#: Statuses of a deployment are a few kilobytes each, and few are asked for.
MOST_BYTES = 1 << 20
#: What these raise is raised before a byte of the request has left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_USER_AGENT = "steward"


class Receiver(NamedTuple):
    """What it is called where it is spoken of."""

    name: str
    hint: str


class Question(NamedTuple):
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Answer(NamedTuple):
    """A success; its body may be anything."""

    status: int
    body: bytes


def ask(receiver: Receiver, question: Question, seconds: float) -> Answer:
    """What it answers to one request, within *seconds* for each of connecting, sending and reading.

    Raises ReceiverUnavailable, ReceiverRefused, BadInput for an address that is none or would go in clear text.
    """
    request = _request(receiver, question, seconds)
    try:
        with httpx.HTTPTransport(verify=authorities(), trust_env=False) as transport:
            answer = transport.handle_request(request)
            read = _read(receiver, answer)
            answer.close()
    except httpx.LocalProtocolError:
        # Not chained, here and below: the error holds the request, and that the secret.
        raise BadInput(
            f"{receiver.name}: its secret cannot be sent in a header", hint="write the secret anew"
        ) from None
    except httpx.HTTPError as error:
        raise ReceiverUnavailable(
            f"{receiver.name} does not answer: {type(error).__name__}",
            hint=receiver.hint,
            may_have_arrived=not isinstance(error, _UNSENT),
        ) from None
    if not answer.is_success:
        raise _refusal(receiver, answer)
    return Answer(answer.status_code, read)


def _request(receiver: Receiver, question: Question, seconds: float) -> httpx.Request:
    _require_private(receiver, question.url)
    timeout: dict[str, Any] = httpx.Timeout(seconds).as_dict()
    headers = {"user-agent": _USER_AGENT, **question.headers}
    try:
        return httpx.Request(
            question.method, question.url, headers=headers, content=question.body, extensions={"timeout": timeout}
        )
    except (UnicodeError, ValueError, httpx.InvalidURL):
        told = f"{receiver.name}: its secret cannot be sent"
    raise BadInput(told, hint="write the secret anew, without white space")


def _require_private(receiver: Receiver, url: str) -> None:
    try:
        parts = urlsplit(url)
        private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        private = private and url.isprintable() and " " not in url
    except ValueError:
        private = False
    if not private:
        raise BadInput(f"{receiver.name}: its address is not an https:// address", hint=receiver.hint)


def _read(receiver: Receiver, answer: httpx.Response) -> bytes:
    read = bytearray()
    for part in answer.iter_bytes():
        read += part
        if len(read) > MOST_BYTES:
            raise ReceiverRefused(f"{receiver.name} answers more than {MOST_BYTES:,} bytes", hint=receiver.hint)
    return bytes(read)


def _refusal(receiver: Receiver, answer: httpx.Response) -> ReceiverUnavailable | ReceiverRefused:
    # Its text is not told: it may quote what was sent.
    status = answer.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
        return ReceiverUnavailable(
            f"{receiver.name} cannot take it now: {status}",
            hint=receiver.hint,
            may_have_arrived=status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE},
            retry_after_seconds=_seconds(answer.headers.get("retry-after", "")),
        )
    return ReceiverRefused(f"{receiver.name} refuses it: {status}", hint=receiver.hint)


def _seconds(text: str) -> float:
    """Of `retry-after`; 0 where it is a date, or absent."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
