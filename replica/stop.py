"""`down`: stop what was started, in the reverse order of its start, each by its pid."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil

from replica import processes
from replica.selection import dependents, needs
from replica.server import Place, Server
from replica.state import exclusive, open_place
from replica.supervision import Keeper

_FAREWELL_SECONDS = 30


def down(state: Path, servers: Sequence[Server], only: Sequence[str], *, say: Callable[[str], None] = print) -> None:
    """Stop *only*, and what needs them; all with the supervisor itself where *only* is empty. Harmless when down."""
    place = open_place(state, servers)
    with exclusive(state):
        keeper = Keeper(state)
        pid = keeper.pid()
        if pid is not None:
            # A frozen process cannot obey a signal to stop.
            processes.send([process for process, _ in processes.own(state)], signal.SIGCONT)
            _stop_all(keeper, dependents(servers, only, proxied=place.proxied), place, say)
        if not only:
            if pid is not None:
                keeper.shut_down()
                _await_end(pid)
            for left in processes.end_leftovers(state):
                say(f"ended pid {left}, left over")
            for server in servers:
                server.stopped(place)


def _stop_all(keeper: Keeper, servers: Sequence[Server], place: Place, say: Callable[[str], None]) -> None:
    """Each in a thread of its own, once all that need it are gone."""
    gone: dict[str, Future[None]] = {}

    def stop(server: Server, needed_by: list[Future[None]]) -> None:
        for future in needed_by:
            future.result()
        if keeper.process(server.name).state.is_up:
            began = time.monotonic()
            keeper.stop(server.name)
            say(f"{server.name:<9} stopped in {time.monotonic() - began:.1f} s")

    with ThreadPoolExecutor(max_workers=len(servers)) as pool:
        # What needs others is listed after them: backwards, each finds the futures of those that need it.
        for server in reversed(servers):
            needed_by = [gone[other.name] for other in servers if server.name in needs(other, proxied=place.proxied)]
            gone[server.name] = pool.submit(stop, server, needed_by)
    for future in gone.values():
        future.result()


def _await_end(pid: int) -> None:
    # psutil also reaps it where it was this very process that started it, as in a test run.
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.wait_procs([psutil.Process(pid)], timeout=_FAREWELL_SECONDS)
