"""`up`: start in parallel what can be, in order what must be, and believe only real probes.

Idempotent: what is up and answers is left alone; what is down, frozen or changed is mended. Each server goes through
prepare → wait for what it needs → provision → start → probe → settle in a thread of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from replica import diagnosis, inventory, ports, processes
from replica.errors import DidNotStart
from replica.selection import PROXIES, needs, select
from replica.server import NotReady, Place, Server
from replica.state import exclusive, lay
from replica.supervision import Keeper
from steward.errors import BadInput, StewardError

Say = Callable[[str], None]

# Each probe of four starting nodes costs processor time that they need themselves.
_POLL_SECONDS = 0.5
_REMIND_SECONDS = 10
# How long a server that has a process but does not answer is waited for before it is started anew.
# As long as a cluster's node may take to join again, so that its peers are not started anew for its absence.
_HUNG_SECONDS = 60
# Fresh data of all servers takes under 1 GiB; below this Elasticsearch's watermarks stop it on a small disk anyhow.
_LEAST_FREE_BYTES = 2 * 1024**3


def up(
    state: Path, servers: Sequence[Server], only: Sequence[str], *, proxied: bool | None = None, say: Say = print
) -> Place:
    """Bring up *only* (all where empty) and what they need. DidNotStart, PortTaken … for the first that failed."""
    select(servers, only, proxied=True)
    place = lay(state, servers, proxied=proxied)
    chosen = select(servers, only, proxied=place.proxied)
    with exclusive(state):
        _refuse_full_disk(state)
        for server in chosen:
            server.install(place.cache)
        inventory.write(place, servers)
        keeper = Keeper(state)
        if keeper.pid() is None:
            for pid in processes.end_leftovers(state):
                say(f"ended pid {pid}, left over from an earlier run")
            keeper.start()
        if not place.proxied:
            keeper.stop(PROXIES)
        _Start(place, keeper, chosen, say).run()
    return place


def _refuse_full_disk(state: Path) -> None:
    free = shutil.disk_usage(state).free
    if free < _LEAST_FREE_BYTES:
        raise BadInput(
            f"the disk of {state} has {free / 1024**3:.1f} GiB free, expected at least {_LEAST_FREE_BYTES / 1024**3:.0f}",
            hint="free some space, or name a state folder on another disk with --state",
        )


class _Start:
    """One `up`: which servers are ready, which failed, and what the person who waits is told."""

    def __init__(self, place: Place, keeper: Keeper, servers: Sequence[Server], say: Say) -> None:
        self._place, self._keeper, self._servers, self._say = place, keeper, servers, say
        self._began = time.monotonic()
        self._waiting: dict[str, str] = {}
        self._done: dict[str, Future[None]] = {server.name: Future() for server in servers}
        # Supervisor reloads its whole configuration at once: two threads must not add the same program.
        self._reloading = threading.Lock()

    def run(self) -> None:
        """Start them all; every failure is told, the first one is raised."""
        with ThreadPoolExecutor(max_workers=len(self._servers)) as pool:
            for server in self._servers:
                pool.submit(self._one, server)
            self._remind()
        failures = [error for future in self._done.values() if (error := future.exception())]
        if failures:
            # One that only lacked another's service says less than the other's own failure.
            raise min(failures, key=lambda error: isinstance(error, _NeedsFailed))

    def _remind(self) -> None:
        while pending := [future for future in self._done.values() if not future.done()]:
            with contextlib.suppress(TimeoutError):
                pending[0].exception(timeout=_REMIND_SECONDS)
                continue
            self._tell(f"… still waiting for {_grouped(dict(self._waiting))}")

    def _tell(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def _one(self, server: Server) -> None:
        try:
            health = self._bring_up(server)
        except Exception as error:  # noqa: BLE001 -- a thread's error is handed to whoever waits for the server
            told = error if isinstance(error, StewardError) else _in_words(server, error)
            self._tell(f"{server.name:<9} FAILED: {told.message}")
            self._done[server.name].set_exception(told)
        else:
            self._tell(f"{server.name:<9} {health}")
            self._done[server.name].set_result(None)
        finally:
            self._waiting.pop(server.name, None)

    def _bring_up(self, server: Server) -> str:
        self._waiting[server.name] = "preparing"
        server.prepare(self._place)
        for needed in needs(server, proxied=self._place.proxied):
            self._waiting[server.name] = f"needs {needed}"
            if self._done[needed].exception():
                raise _NeedsFailed(server.name, f"it needs {needed}, which failed")
        with self._reloading:
            self._keeper.put(server.name, server.program(self._place))
        told = "already up" if self._answers(server) else self._start(server)
        server.settle(self._place)
        return f"{told} · {server.probe(self._place)}"

    def _answers(self, server: Server) -> bool:
        """Whether there is a process that answers, once what `fault freeze` and `fault fill` did to it is undone."""
        process = self._keeper.process(server.name)
        if not process.state.is_up:
            return False
        processes.send(processes.tree(process.pid), signal.SIGCONT)
        processes.limit_file_size(process.pid, None)
        try:
            self._await(server, process.pid, _HUNG_SECONDS, log_start=0)
        except DidNotStart:
            self._tell(f"{server.name:<9} does not answer: started anew")
            self._keeper.stop(server.name)
            return False
        return True

    def _start(self, server: Server) -> str:
        server.provision(self._place)
        if server.ends_leftovers:
            for pid in processes.end_leftovers(self._place.state, server.name):
                self._tell(f"{server.name:<9} ended pid {pid}, left over from an earlier run")
        ports.refuse_taken(server.name, (self._place.port(server.name, name) for name in server.port_names))
        log = self._place.state / "logs" / f"{server.name}.log"
        log_start = log.stat().st_size if log.exists() else 0
        began = time.monotonic()
        _mark_start(self._place, server.name)
        self._keeper.begin(server.name)
        self._await(server, self._keeper.process(server.name).pid, server.ready_seconds, log_start=log_start)
        return f"ready in {time.monotonic() - began:.1f} s"

    def _await(self, server: Server, pid: int, patience_seconds: float, *, log_start: int) -> None:
        """Until the probe succeeds; DidNotStart once the process ended, was started again, or patience did."""
        deadline = time.monotonic() + patience_seconds
        while True:
            process = self._keeper.process(server.name)
            if not process.state.is_up or process.pid not in {pid, 0}:
                self._give_up(server, process.said, log_start)
            try:
                server.probe(self._place)
            except NotReady as reason:
                self._waiting[server.name] = str(reason)
                if time.monotonic() > deadline:
                    raise DidNotStart(server.name, f"not ready after {patience_seconds:.0f} s: {reason}") from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _give_up(self, server: Server, said: str, log_start: int) -> None:
        # Without this the supervisor would start it again and again.
        self._keeper.stop(server.name)
        log = self._place.state / "logs" / f"{server.name}.log"
        words = diagnosis.since(log, log_start)
        raise DidNotStart(
            server.name,
            said if said and not words.strip() else f"it ended: {diagnosis.last_words(words)}",
            hint=diagnosis.cause(f"{said}\n{words}"),
        )


def _in_words(server: Server, error: Exception) -> DidNotStart:
    """A full disk met while preparing, a refused statement while settling: the same kind of error as all the others."""
    words = f"{type(error).__name__}: {error}"
    told = DidNotStart(server.name, words, hint=diagnosis.cause(words))
    told.__cause__ = error
    return told


def _grouped(waiting: dict[str, str]) -> str:
    """As in `es-1, es-2 (why); prefect (why)`: servers that wait for the same reason are told together."""
    reasons: dict[str, list[str]] = {}
    for name, reason in sorted(waiting.items()):
        reasons.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())


class _NeedsFailed(DidNotStart):
    """A consequence, not a cause."""


def _mark_start(place: Place, server: str) -> None:
    folder = place.state / "started"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / server).touch()
