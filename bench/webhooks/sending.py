"""A sender whose requests are due when they are due, whatever became of those before: what it waits for is counted, never skipped.

Connections are kept as a proxy keeps them, one request at a time on each, and as many as are asked for at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

#: GitHub's own patience.
ANSWER_SECONDS = 10.0
_NO_CONTENT = 204


class Answered(NamedTuple):
    """One request."""

    due_seconds: float
    """After the first moment."""
    took_seconds: float
    """From when it was due until its answer was there, or it was given up."""
    status: int
    """0: there was no answer."""


class _Line(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Sender:
    """Of one event loop."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str] | None = None) -> None:
        self._port, self._path, self._more = port, path, dict(headers or {})
        self._idle: list[_Line] = []

    async def post(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status; 0 where no answer came within ANSWER_SECONDS."""
        line: _Line | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = self._kept() or _Line(*await asyncio.open_connection("127.0.0.1", self._port))
                line.writer.write(self._request(headers, body))
                status, stays = await _answer(line.reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            if line:
                line.writer.close()
            return 0
        if stays:
            self._idle.append(line)
        else:
            line.writer.close()
        return status

    def _kept(self) -> _Line | None:
        """One that the server has not closed since, as a proxy looks for it; None: all that were kept are."""
        while self._idle:
            line = self._idle.pop()
            if not line.reader.at_eof() and line.reader.exception() is None:
                return line
            line.writer.close()
        return None

    def close(self) -> None:
        """All that is idle."""
        for each in self._idle:
            each.writer.close()

    def _request(self, headers: Mapping[str, str], body: bytes) -> bytes:
        told = {"Host": f"127.0.0.1:{self._port}", **self._more, **headers, "Content-Length": len(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        return f"POST {self._path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    status = int(head[0].split(" ")[1])
    if status != _NO_CONTENT:
        await reader.readexactly(int(headers["content-length"]))
    return status, headers.get("connection", "").lower() != "close"


async def arrive(due: Sequence[float], prepare: Callable[[int], Callable[[], Awaitable[int]]]) -> list[Answered]:
    """Send what *prepare* gives for each number, at its moment of *due*: seconds from now, in order."""
    loop, found = asyncio.get_running_loop(), list[Answered]()
    began = loop.time()

    async def one(at: float, send: Callable[[], Awaitable[int]]) -> None:
        status = await send()
        found.append(Answered(at, loop.time() - began - at, status))

    async with asyncio.TaskGroup() as sending:
        for number, at in enumerate(due):
            # Before it is due: what it takes to make one is not the receiver's.
            send = prepare(number)
            await asyncio.sleep(max(0.0, began + at - loop.time()))
            sending.create_task(one(at, send))
    return found
