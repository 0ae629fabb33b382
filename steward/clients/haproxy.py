"""The load balancer before the application: who gets new requests, and how many of them.

What is changed holds at once, in every request that follows, and ends none. It outlives a reload, a restart and a crash of
HAProxy where the settings name its state file: the state is saved with each change. Every call may be made twice.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from steward.clients.haproxy_answers import Admin, BalancedServer, servers
from steward.clients.haproxy_errors import (
    BalancerRefused,
    BalancerStateNotSaved,
    NoSuchServer,
    NotDrained,
    ServerNotUp,
)
from steward.clients.haproxy_runtime import TIMEOUT_SECONDS, Runtime
from steward.clients.haproxy_state import alone, keep
from steward.errors import BadInput
from steward.settings import Settings

__all__ = ["Admin", "BalancedServer", "LoadBalancer", "open_balancer"]

# What HAProxy takes for a name.
_NAME = re.compile("[A-Za-z0-9_.:-]+")
_WHOLE = 100
_LOOK_SECONDS = 0.1
# HAProxy's own words for a name that it does not know.
_UNKNOWN = ("No such server", "No such backend", "No such proxy", "Can't find backend", "Require 'backend/server'")


def open_balancer(settings: Settings, environment: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> LoadBalancer:
    """The load balancer of *environment*, as the settings describe it. Nothing is asked yet, and nothing is kept open."""
    described = settings.balancer(environment)
    return LoadBalancer(Runtime(described.runtime, timeout_seconds), described.backend, described.state_file)


class LoadBalancer:
    """The servers of one backend.

    BalancerAway (transient), BalancerRefused, NoSuchServer from every method; a change also BalancerStateNotSaved, after
    which it holds all the same.
    """

    def __init__(self, runtime: Runtime, backend: str, state_file: Path | None = None) -> None:
        self.backend = backend
        self._runtime, self._state_file = runtime, state_file

    def servers(self) -> tuple[BalancedServer, ...]:
        """All of them, in the configuration's order."""
        # Types 4: servers; -1: all of them.
        stat, state = (
            self._ask(command) for command in (f"show stat {self.backend} 4 -1", f"show servers state {self.backend}")
        )
        try:
            return servers(stat, state)
        except (ValueError, KeyError) as error:
            raise BalancerRefused(self._runtime.address, "show stat", f"it answers unlike HAProxy: {error!r}") from None

    def server(self, name: str) -> BalancedServer:
        """The one called *name*; NoSuchServer."""
        return self._named(name, self.servers())

    def connections(self, name: str) -> int:
        """Requests that the server is serving now."""
        return self.server(name).connections

    def set_weight(self, name: str, percent: int) -> None:
        """*percent*, 0 to 100, of the configured weight. Shares of users follow the weights' proportion.

        As users are kept on their server by consistent hashing, shares hold within a few percent; requests of nobody hold
        them exactly. Who came to a server that grows stays there.
        """
        if not 0 <= percent <= _WHOLE:
            raise BadInput(f"a weight of {percent} %, expected 0 to {_WHOLE}", hint="0 gives the server nothing new")
        self._change(name, f"weight {percent}%")
        self.save_state()

    def ready(self, name: str) -> None:
        """Let it take requests by its weight. From maintenance that begins before its health was looked at: `drain` first."""
        self._change(name, f"state {Admin.READY}")
        self.save_state()

    def drain(self, name: str) -> None:
        """Nothing new for it; what it serves, it serves to the end. Its health is still checked."""
        self._change(name, f"state {Admin.DRAIN}")
        self.save_state()

    def maint(self, name: str) -> None:
        """Nothing new for it and no health checks: it may be replaced. Drain it and wait first."""
        self._change(name, f"state {Admin.MAINT}")
        self.save_state()

    def direct(self, name: str) -> None:
        """All new requests to *name*: it is ready at its whole weight before any other is drained, so nobody is refused.

        ServerNotUp where its last health checks did not pass, and then nothing is changed.
        """
        found = self.servers()
        target = self._named(name, found)
        if not target.healthy:
            raise ServerNotUp(name, str(target))
        self._change(name, f"weight {_WHOLE}%")
        self._change(name, f"state {Admin.READY}")
        for other in found:
            if other.name != name and other.admin is Admin.READY:
                self._change(other.name, f"state {Admin.DRAIN}")
        self.save_state()

    def wait_up(self, name: str, timeout_seconds: float) -> None:
        """Until its health checks pass; ServerNotUp tells the last one."""
        deadline = time.monotonic() + timeout_seconds
        while not (seen := self.server(name)).healthy:
            if time.monotonic() > deadline:
                raise ServerNotUp(name, f"{seen}, after {timeout_seconds:g} s")
            time.sleep(_LOOK_SECONDS)

    def wait_drained(self, name: str, timeout_seconds: float) -> None:
        """Until it serves nothing; NotDrained tells how many requests are left. BadInput where it still takes new ones."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            seen = self.server(name)
            if seen.admin is Admin.READY and seen.weight_percent:
                raise BadInput(f"{name} takes new requests, so it never drains: {seen}", hint="drain() it first")
            if not seen.connections + seen.queued:
                return
            if time.monotonic() > deadline:
                raise NotDrained(name, seen.connections + seen.queued, timeout_seconds)
            time.sleep(_LOOK_SECONDS)

    def close_sessions(self, name: str) -> None:
        """End what it is serving, whoever waits for it: after `drain`, where waiting costs more than failures."""
        self._run(name, f"shutdown sessions server {self.backend}/{name}")

    def save_state(self) -> None:
        """Write what HAProxy's next start begins with: weights, states, health. Nothing where the settings name no file.

        Of several writers the last one's file tells what holds, also where one was stopped for a while in between.
        """
        if self._state_file is None:
            return
        try:
            with alone(self._state_file):
                keep(self._state_file, lambda: self._ask("show servers state"))
        except OSError as error:
            raise BalancerStateNotSaved(self._state_file, str(error)) from None

    def _change(self, name: str, what: str) -> None:
        self._run(name, f"set server {self.backend}/{name} {what}")

    def _named(self, name: str, found: tuple[BalancedServer, ...]) -> BalancedServer:
        for each in found:
            if each.name == name:
                return each
        raise NoSuchServer(self.backend, name, (each.name for each in found))

    def _run(self, name: str, command: str) -> None:
        if not _NAME.fullmatch(name):
            # A line break or a semicolon would begin a command of its own.
            raise NoSuchServer(self.backend, name, (each.name for each in self.servers()))
        try:
            self._runtime.change(command)
        except BalancerRefused as refused:
            if refused.said.startswith(_UNKNOWN):
                raise NoSuchServer(self.backend, name, (each.name for each in self.servers())) from None
            raise

    def _ask(self, command: str) -> str:
        answer = self._runtime.ask(command)
        if answer.startswith(_UNKNOWN):
            raise NoSuchServer(self.backend, "", ())
        if answer.startswith(("Unknown command", "Permission denied")):
            raise BalancerRefused(self._runtime.address, command, answer.partition("\n")[0])
        return answer
