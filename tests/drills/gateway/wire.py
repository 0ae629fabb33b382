"""The way from the gateway to a provider, on which requests may take up to two seconds before the provider counts them."""

import asyncio
import random
import time
from contextlib import suppress

#: What the gateway allows a network, beside the time that a ticket lives.
MOST_SECONDS = 2.0
_CHUNK_BYTES = 65_536
NONE, EVEN, WAVES = "none", "even", "waves"


class Wire:
    """One listener. `delays`: each request is held for a time drawn `even`ly, or all of a span for the most and all of the
    next for none (`waves`), which presses the most of what was reserved into one window.

    *silent*: the provider's headers about limits do not come through.
    """

    def __init__(self, port, leads_to, *, seed=0, silent=False, span_seconds=10.0) -> None:
        self.port, self._leads_to, self._silent, self._span = port, leads_to, silent, span_seconds
        self.delays, self._chance = NONE, random.Random(seed)
        self._server, self._answered = None, set()

    async def open(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def shut(self):
        """No request gets through any more; what is being answered is answered to its end."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()

    async def _serve(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._leads_to)
        except OSError:
            writer.transport.abort()
            return
        self._answered.add(writer)
        try:
            await asyncio.gather(self._ask(reader, up_writer, writer), self._answer(up_reader, writer))
        except asyncio.CancelledError:
            # The drill is over. Not raised: asyncio's streams would complain of it.
            return
        finally:
            self._answered.discard(writer)
            writer.close()
            up_writer.close()

    async def _ask(self, reader, up_writer, writer):
        """What comes after an answer begins a request, which is held before its first byte. What left arrives, whatever
        becomes of who sent it.
        """
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if writer in self._answered:
                    self._answered.discard(writer)
                    if self._server is None:
                        writer.transport.abort()
                        break
                    await asyncio.sleep(self._delay())
                up_writer.write(chunk)
                await up_writer.drain()
        up_writer.close()

    async def _answer(self, up_reader, writer):
        with suppress(OSError):
            while chunk := await up_reader.read(_CHUNK_BYTES):
                self._answered.add(writer)
                writer.write(chunk.replace(b"ratelimit-", b"rateless--") if self._silent else chunk)
                await writer.drain()
        writer.close()

    def _delay(self):
        if self.delays == EVEN:
            return self._chance.uniform(0.0, MOST_SECONDS)
        if self.delays == WAVES:
            return 0.0 if int(time.monotonic() / self._span) % 2 else MOST_SECONDS
        return 0.0
