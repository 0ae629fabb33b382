"""The fault proxy: one small TCP proxy between clients and servers, for `fault partition` and `fault slow`.

    python -m replica.proxy ROUTES.json

ROUTES.json holds `{"control": PATH, "routes": {"<server>.<port name>": [listens on, leads to]}}`. Over the Unix socket
PATH it takes one JSON object a line, `{"do": "partition" | "slow" | "heal", "server": … or "*", "delay_seconds": …}`
or `{"do": "list"}`, and answers with the faults now in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 65_536


def _open() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Route:
    """One proxied port, and what is wrong with it now."""

    server: str
    listens: int
    leads_to: int
    gate: asyncio.Event = field(default_factory=_open)
    """Closed in a partition: bytes are held, not dropped, and connections stay open, as when a cable is out."""
    delay_seconds: float = 0.0
    """Added before each chunk of an answer (at most 64 KiB)."""

    def state(self) -> dict[str, Any]:
        """What `list` shows of it."""
        return {"partitioned": not self.gate.is_set(), "delay_seconds": self.delay_seconds}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one client's connection until either side ends it."""
        try:
            await self.gate.wait()
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        except OSError:
            # The server is down: the client sees a reset, which is what it would see without a proxy, one step later.
            writer.transport.abort()
            return
        await asyncio.gather(
            self._carry(reader, up_writer, delayed=False), self._carry(up_reader, writer, delayed=True)
        )

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delayed: bool) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                await self.gate.wait()
                if delayed and self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(chunk)
                await writer.drain()
            await self.gate.wait()
            writer.write_eof()
        except OSError:
            writer.transport.abort()
        finally:
            if delayed:
                with contextlib.suppress(OSError):
                    writer.close()


class Control:
    """The Unix socket by which `fault` commands the routes."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self._routes = routes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each line of one caller."""
        while line := await reader.readline():
            writer.write(json.dumps(self._answer(json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        for route in self._routes.values():
            if request.get("server") in {route.server, "*"}:
                _apply(route, request)
        return {name: route.state() for name, route in self._routes.items()}


def _apply(route: Route, request: dict[str, Any]) -> None:
    match request["do"]:
        case "partition":
            route.gate.clear()
        case "slow":
            route.delay_seconds = float(request["delay_seconds"])
        case "heal":
            route.delay_seconds = 0.0
            route.gate.set()
        case _:
            pass


async def run(control: Path, routes: dict[str, Route]) -> None:
    """Serve until SIGTERM. OSError where a port is taken."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    servers = [await asyncio.start_server(route.serve, "127.0.0.1", route.listens) for route in routes.values()]
    servers.append(await asyncio.start_unix_server(Control(routes).serve, control))
    await stop.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Read the routes and serve."""
    described = json.loads(Path(sys.argv[1]).read_text())
    control = Path(described["control"])
    # Left by a proxy that was killed.
    control.unlink(missing_ok=True)

    async def serve() -> None:
        # Made inside the loop: their gates belong to it.
        routes = {name: Route(name.partition(".")[0], *pair) for name, pair in described["routes"].items()}
        await run(control, routes)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
