"""One HTTP exchange, below any framework: a twin must also be able to hang, to cut a connection and to see its caller leave."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from replica.providers.errors import Refusal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# Money is exact: `{"value": 0.0625}` is written from a Decimal, digit by digit.
_encode = msgspec.json.Encoder(decimal_format="number").encode
_TRANSPORT = "transport"


class Protocol(HttpToolsProtocol):
    """uvicorn's own, which also hands the connection on to the application."""

    def on_message_begin(self) -> None:
        """Into the scope, where nothing else of uvicorn's puts it."""
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: self.transport}  # pyright: ignore[reportGeneralTypeIssues] -- a plain dict at run time


class Gone(Exception):
    """The caller left, or was cut off: there is nobody to answer."""


def dumps(value: Any) -> bytes:
    """JSON, with Decimals as numbers."""
    return _encode(value)


def loads(text: bytes) -> Any:
    """JSON; msgspec.DecodeError and UnicodeDecodeError say what is wrong."""
    return msgspec.json.decode(text)


class Exchange:
    """A request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._query_string: bytes = scope["query_string"]
        self._receive, self._send = receive, send
        self._transport: asyncio.Transport = scope["extensions"][_TRANSPORT]
        self.started = False

    async def demand_a_listener(self) -> None:
        """Gone where the caller left."""
        if self._transport.is_closing():
            # uvicorn is told of it a moment later, and would until then answer for an application that ends.
            await self._left()
            raise Gone

    def query(self) -> dict[str, list[str]]:
        """Parameters; `name[]=` and `name=` are the same, for clients write lists in both ways."""
        found: dict[str, list[str]] = {}
        for name, value in urllib.parse.parse_qsl(self._query_string.decode("latin-1"), keep_blank_values=True):
            found.setdefault(name.removesuffix("[]"), []).append(value)
        return found

    async def body(self, most_bytes: int) -> bytes:
        """The whole body; Refusal 413 above *most_bytes*, Gone where the caller leaves over it."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most_bytes:
                raise Refusal(413, "Request exceeds the maximum size")
            if not message.get("more_body", False):
                return b"".join(parts)

    async def answer(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """A whole JSON answer."""
        content = dumps(value)
        named = {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
        await self._start(status, named)
        await self._send({"type": "http.response.body", "body": content})

    async def start_stream(self, headers: Mapping[str, str]) -> None:
        """Server-sent events follow."""
        await self._start(
            200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **headers}
        )

    async def event(self, content: bytes) -> None:
        """A piece of the stream; Gone where nobody listens any more."""
        await self._send({"type": "http.response.body", "body": content, "more_body": True})
        # Lets the loop notice that the caller left, and others have their turn.
        await asyncio.sleep(0)
        await self.demand_a_listener()

    async def end_stream(self) -> None:
        """In good order."""
        await self._send({"type": "http.response.body", "body": b""})

    async def pause(self, seconds: float) -> None:
        """Wait; Gone as soon as the caller leaves."""
        if seconds <= 0:
            return
        leaving = asyncio.ensure_future(self._left())
        done, _ = await asyncio.wait({leaving}, timeout=seconds)
        if done:
            raise Gone
        leaving.cancel()

    async def flush(self) -> None:
        """Let what was sent leave before the connection is cut."""
        # A transport tells nobody when its buffer has run empty.
        while self._transport.get_write_buffer_size() and not self._transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def cut(self) -> None:
        """Close the connection now, in the middle of whatever."""
        self._transport.abort()
        # uvicorn would otherwise answer for an application that ends without having done so.
        await self._left()

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        raw = [(name.encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
