"""`down`: stop what was started, in the reverse order of its start, each by its pid."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from replica import processes
from replica.server import Server
from replica.state import exclusive, require_marker
from replica.supervision import Keeper

_FAREWELL_SECONDS = 30


def down(state: Path, servers: Sequence[Server], only: Sequence[str], *, say: Callable[[str], None] = print) -> None:
    """Stop *only*, and what needs them; all with the supervisor itself where *only* is empty. Harmless when down."""
    require_marker(state)
    with exclusive(state):
        keeper = Keeper(state)
        pid = keeper.pid()
        if pid is not None:
            _wake(state)
            for wave in waves(_dependents(servers, only)):
                _stop(keeper, wave, say)
        if only:
            return
        if pid is not None:
            keeper.shut_down()
            _await_end(pid)
        for left in processes.end_leftovers(state):
            say(f"ended pid {left}, left over")


def waves(servers: Sequence[Server]) -> list[list[Server]]:
    """*servers* in groups: each group is stopped together, once all that need it are gone."""
    remaining, order = list(servers), list[list[Server]]()
    while remaining:
        needed = {name for server in remaining for name in server.needs}
        wave = [server for server in remaining if server.name not in needed]
        order.append(wave)
        remaining = [server for server in remaining if server.name in needed]
    return order


def _dependents(servers: Sequence[Server], only: Sequence[str]) -> list[Server]:
    if not only:
        return list(servers)
    doomed = set(only)
    # `servers` lists a server after what it needs, so one pass finds dependents of dependents.
    for server in servers:
        if doomed.intersection(server.needs):
            doomed.add(server.name)
    return [server for server in servers if server.name in doomed]


def _wake(state: Path) -> None:
    """A frozen process cannot obey a signal to stop."""
    processes.send([process for process, _ in processes.own(state)], signal.SIGCONT)


def _stop(keeper: Keeper, wave: Sequence[Server], say: Callable[[str], None]) -> None:
    running = [server for server in wave if keeper.process(server.name).state.is_up]
    if not running:
        return
    with ThreadPoolExecutor(max_workers=len(running)) as pool:
        for server in running:
            pool.submit(keeper.stop, server.name)
    say(f"stopped {', '.join(server.name for server in running)}")


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + _FAREWELL_SECONDS
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
