"""What goes wrong with the load balancer."""

from __future__ import annotations

from collections.abc import Iterable

from steward.errors import BadInput, StewardError, Unavailable


class BalancerAway(Unavailable):
    """HAProxy's runtime API does not answer, or not to the end: its users may be served all the same."""

    def __init__(self, runtime: str, why: str) -> None:
        super().__init__(
            f"the load balancer's runtime API at {runtime} does not answer: {why}",
            hint="does HAProxy run, and has its `stats socket` this address? Weights and states stay as they are meanwhile",
        )
        self.runtime = runtime


class NoSuchServer(BadInput):
    """HAProxy has no such server in its backend, or no such backend; nothing has been changed."""

    def __init__(self, backend: str, server: str, known: Iterable[str]) -> None:
        self.backend, self.server, self.known = backend, server, tuple(known)
        super().__init__(
            f"the load balancer's backend {backend} has no server {server!r}, only {', '.join(self.known)}"
            if self.known
            else f"the load balancer has no backend {backend}",
            hint="compare backend in [balancers.…] with haproxy.cfg",
        )


class BalancerRefused(StewardError):
    """HAProxy answers, and does not do what it was asked for."""

    def __init__(self, runtime: str, command: str, said: str) -> None:
        super().__init__(
            f"the load balancer at {runtime} refuses {command!r}: {said}",
            hint="is its `stats socket` of level admin, and its version 2.6 or later?",
        )
        self.command, self.said = command, said


class BalancerStateNotSaved(StewardError):
    """What was changed holds, and a reload of HAProxy would undo it."""

    transient = True

    def __init__(self, path: object, why: str) -> None:
        super().__init__(
            f"cannot write HAProxy's state to {path}: {why}; a reload or restart would begin with an older one",
            hint="see whether its folder can be written, then save_state() again, before anyone reloads HAProxy",
        )


class ServerNotUp(StewardError):
    """A server that should take traffic fails its health checks, or has not passed one since it came back."""

    transient = True

    def __init__(self, server: str, seen: str) -> None:
        super().__init__(
            f"{server} is not healthy at the load balancer: {seen}",
            hint="see what runs there; in maintenance nothing is checked: drain() it, and wait_up()",
        )
        self.server = server


class NotDrained(StewardError):
    """Requests were still under way at a drained server when patience ended. They are served on."""

    transient = True

    def __init__(self, server: str, connections: int, seconds: float) -> None:
        super().__init__(
            f"{server} still serves {connections} requests after {seconds:g} s, expected none",
            hint="wait longer, or end them with close_sessions(): whoever made them sees a failure",
        )
        self.server, self.connections = server, connections
