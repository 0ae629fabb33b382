"""A small application on the replica's two colours, and users of it that count what came of their requests."""

import asyncio
import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

WAIT_SECONDS = 20


def eventually(look, what):
    """What *look* gives once it is true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {WAIT_SECONDS} s"
        time.sleep(0.02)
    return found


class Colours:
    """Both colours, in a thread with a loop of its own: `/` tells the colour, `/held` waits for `release`, `/lost` is hung up on.

    `/metrics` tells of `figures`, lines of Prometheus's text format, as they are at that moment; of one that is `hung`, when
    what is held is released.
    """

    def __init__(self, ports) -> None:
        self.ports = ports
        self.asked = Counter()
        self.healthy = dict.fromkeys(ports, True)
        self.figures = dict.fromkeys(ports, "")
        self.hung = set()
        self._servers, self._writers = {}, {name: set() for name in ports}
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, *names):
        for name in names:
            if name not in self._servers:
                self._servers[name] = self._do(self._listen(name))

    def stop(self, *names):
        """As an ended process: nothing listens, and whatever was open is gone."""
        for name in names:
            if server := self._servers.pop(name, None):
                self._do(self._end(name, server))

    def release(self):
        """Let go on what was held."""
        self._loop.call_soon_threadsafe(self._released.set)

    def hold(self):
        self._loop.call_soon_threadsafe(self._released.clear)

    def close(self):
        self.release()
        self.stop(*self.ports)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)

    async def _listen(self, name):
        async def serve(reader, writer):
            await self._serve(name, reader, writer)

        return await asyncio.start_server(serve, "127.0.0.1", self.ports[name])

    async def _end(self, name, server):
        server.close()
        for writer in list(self._writers[name]):
            writer.transport.abort()
        await server.wait_closed()

    async def _serve(self, name, reader, writer):
        self._writers[name].add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(name, reader, writer):
                    await writer.drain()
        finally:
            self._writers[name].discard(writer)
            writer.close()

    async def _answer(self, name, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ", 2)[1]
        if path not in {"/healthz", "/metrics"}:
            self.asked[name] += 1
        if path == "/lost":
            return False
        if path == "/held" or (path == "/metrics" and name in self.hung):
            await self._released.wait()
        body = self.figures[name] if path == "/metrics" else name
        status = "503 No" if path == "/healthz" and not self.healthy[name] else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        return True


class Caller:
    """One connection that is kept, as a browser's."""

    def __init__(self, url) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=WAIT_SECONDS)

    def ask(self, path="/", method="GET", **headers):
        """(status, body)."""
        self._connection.request(method, path, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def colour(self, user=None):
        status, body = self.ask(**({"X-User-Id": user} if user else {}))
        assert status == 200, (status, body)
        return body

    def close(self):
        self._connection.close()


class Users:
    """Several callers that ask, again and again, until they are told to stop; what came of it by words."""

    def __init__(self, url, rate, callers=8) -> None:
        self.came = Counter()
        self._url, self._pause, self._over = url, callers / rate, threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(callers)]

    def _ask(self, number):
        caller, turn, due = Caller(self._url), 0, time.monotonic()
        while not self._over.is_set():
            try:
                status, body = caller.ask(**{"X-User-Id": f"{number}-{turn}"})
                came = body if status == 200 else f"failed: {status}"
            except (OSError, http.client.HTTPException) as error:
                came = f"failed: {error!r}"
                caller.close()
            with self._lock:
                self.came[came] += 1
            turn, due = turn + 1, max(due + self._pause, time.monotonic() - 1)
            self._over.wait(max(due - time.monotonic(), 0))
        caller.close()

    @property
    def failed(self):
        return {came: times for came, times in self.came.items() if came.startswith("failed")}

    def total(self):
        return sum(self.came.values())

    def more(self, requests):
        """Wait until so many more were answered."""
        wanted = self.total() + requests
        eventually(lambda: self.total() >= wanted, f"{requests} more requests")

    @contextmanager
    def under_way(self) -> Generator["Users"]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()
