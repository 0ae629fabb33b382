"""Which servers a command is about, given what needs what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replica.server import Server
from steward.errors import BadInput

PROXIES = "proxies"


def needs(server: Server, *, proxied: bool) -> tuple[str, ...]:
    """What *server* needs; where clients go through the proxies, they come before everything."""
    return (PROXIES, *server.needs) if proxied and server.name != PROXIES else server.needs


def select(servers: Sequence[Server], only: Iterable[str], *, proxied: bool = False) -> list[Server]:
    """The servers named in *only* with all that they need and their peers; where it is empty, all that are meant by default.

    BadInput names the known.
    """
    known = {server.name: server for server in servers if proxied or server.name != PROXIES}
    wanted, queue = set[str](), list(only) or [name for name, server in known.items() if server.by_default]
    while queue:
        name = queue.pop()
        if name not in known:
            raise BadInput(f"unknown server {name!r}", hint=f"known: {', '.join(known)}")
        if name not in wanted:
            wanted.add(name)
            queue += [*needs(known[name], proxied=proxied), *known[name].peers]
    return [server for server in servers if server.name in wanted]


def dependents(servers: Sequence[Server], only: Sequence[str], *, proxied: bool = False) -> list[Server]:
    """The servers named in *only* with all that need them; every one where it is empty."""
    if not only:
        return list(servers)
    select(servers, only, proxied=proxied)
    doomed = set(only)
    # `servers` lists a server after what it needs, so one pass finds dependents of dependents.
    for server in servers:
        if doomed.intersection(needs(server, proxied=proxied)):
            doomed.add(server.name)
    return [server for server in servers if server.name in doomed]
