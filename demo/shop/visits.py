"""One user's connection to the shop: HTTP/1.1, kept between requests, as a browser keeps it.

Not by a client library: at hundreds of requests a second those take more of a small machine than the shop does.
"""

from __future__ import annotations

import asyncio
import ipaddress
from time import perf_counter
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools

from steward.errors import BadInput

_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 30.0
_PIECE = 65_536


class NotLoopback(BadInput):
    """Load is for the machine's own servers."""


class Failed(Exception):
    """No answer came; the text is the kind: refused, reset, closed, timeout, garbled."""


class Answer(NamedTuple):
    """As much of it as is counted."""

    status: int
    seconds: float
    headers: dict[str, str]


def address(url: str) -> tuple[str, int]:
    """Host and port of http://HOST:PORT. Raises NotLoopback for whatever is not certain to be this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        # A name is whatever a resolver says at that moment, save this one, which is not asked for.
        mine = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        parts, mine, port, host = urlsplit(""), False, None, ""
    if parts.scheme != "http" or not mine or port is None:
        raise NotLoopback(f"{url!r} is not http://127.0.0.1:PORT", hint="load is made on loopback only")
    return "127.0.0.1" if host == "localhost" else host, port


class Visit:
    """Requests of one user, one after the other."""

    def __init__(self, host: str, port: int, user: str) -> None:
        self._host, self._port, self._user = host, port, user
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.retried = 0
        """Requests sent anew because the server had closed the kept connection meanwhile, as browsers do."""

    async def ask(self, method: str, path: str) -> Answer:
        """The whole answer. Raises Failed. Every method here may be repeated: GET and PUT."""
        began, kept = perf_counter(), self._streams is not None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                try:
                    status, headers = await self._exchange(method, path)
                except _ClosedBefore:
                    if not kept:
                        raise Failed("closed") from None
                    self.retried += 1
                    status, headers = await self._exchange(method, path)
        except _ClosedBefore:
            raise Failed("closed") from None
        except TimeoutError:
            self.leave()
            raise Failed("timeout") from None
        return Answer(status, perf_counter() - began, headers)

    def leave(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, method: str, path: str) -> tuple[int, dict[str, str]]:
        reader, writer = self._streams or await self._connected()
        answer = _Parsed()
        try:
            writer.write(self._request(method, path))
            while not answer.whole:
                piece = await reader.read(_PIECE)
                if not piece:
                    raise ConnectionResetError
                answer.feed(piece)
        except OSError:
            self.leave()
            if answer.begun:
                raise Failed("reset") from None
            raise _ClosedBefore from None
        except httptools.HttpParserError:
            self.leave()
            raise Failed("garbled") from None
        if not answer.stays_open:
            self.leave()
        return answer.status, answer.headers

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                self._streams = await asyncio.open_connection(self._host, self._port)
        except TimeoutError:
            raise Failed("timeout") from None
        except OSError:
            raise Failed("refused") from None
        return self._streams

    def _request(self, method: str, path: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"X-User-Id: {self._user}"]
        lines += ["Content-Length: 0"] if method == "PUT" else []
        return "\r\n".join([*lines, "\r\n"]).encode()


class _ClosedBefore(Exception):
    """The connection ended before the first byte of an answer."""


class _Parsed:
    """An answer as it comes in; httptools calls its methods by name."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begun = self.whole = self.stays_open = False
        self.headers: dict[str, str] = {}

    def feed(self, piece: bytes) -> None:
        self.begun = True
        self._parser.feed_data(piece)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_message_complete(self) -> None:
        # Only here: the parser forgets it with the message.
        self.whole, self.stays_open = True, self._parser.should_keep_alive()

    @property
    def status(self) -> int:
        return self._parser.get_status_code()
