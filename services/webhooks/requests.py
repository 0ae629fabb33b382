"""What a request must be before its signature is looked at: JSON by its own word, and no longer than the settings allow."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from services.problems import Refused
from steward.webhooks.errors import TooLarge, WrongContentType

#: A sender that is slower holds a place that others need.
_READING_SECONDS = 10.0
#: GitHub's have about 600.
_MOST_HEADER_BYTES = 32_768
_MOST_SHOWN = 100
_FORM = "application/x-www-form-urlencoded"


def demand_short_headers(request: Request) -> None:
    """Raises Refused 431: the server's parser takes any number of them."""
    if sum(len(name) + len(value) for name, value in request.scope["headers"]) > _MOST_HEADER_BYTES:
        raise Refused(431, f"the headers have more than {_MOST_HEADER_BYTES:,} bytes", headers={"Connection": "close"})


def demand_json(headers: Headers) -> None:
    """Raises WrongContentType."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WrongContentType(
            f"the content type is {_shown(kind)}; expected application/json",
            hint="choose the content type application/json in the webhook's settings at GitHub"
            if kind == _FORM
            else "send JSON, and say so in Content-Type",
        )
    if (coding := headers.get("content-encoding", "identity").strip().lower()) != "identity":
        raise WrongContentType(
            f"the body is encoded as {_shown(coding)}; expected it as it is", hint="do not compress it"
        )


async def read_body(request: Request, most_bytes: int) -> bytes:
    """All of it. Raises TooLarge, by its announced length or once it has more, and Refused 408 where it does not come."""
    # The server's parser takes digits alone.
    if int(request.headers.get("content-length", "0")) > most_bytes:
        raise _too_large(most_bytes)
    content = bytearray()
    try:
        async with asyncio.timeout(_READING_SECONDS):
            async for piece in request.stream():
                content += piece
                if len(content) > most_bytes:
                    raise _too_large(most_bytes)
    except (TimeoutError, ClientDisconnect):
        raise Refused(
            408, f"the body was not here within {_READING_SECONDS:g} s", headers={"Connection": "close"}
        ) from None
    return bytes(content)


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body has more than {most_bytes:,} bytes",
        hint="most_bytes in [webhooks] is how many it may have; no event that is read here needs as many",
    )


def _shown(word: str) -> str:
    """A header's value, where it is one that a problem may repeat."""
    return (
        word
        if word and len(word) <= _MOST_SHOWN and word.isascii() and word.isprintable()
        else "none that can be shown"
    )
