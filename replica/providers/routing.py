"""From a method and a path to what answers it; `{name}` in a path is any one segment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange

Endpoint = Callable[..., Awaitable[None]]


@dataclass(slots=True)
class Routes:
    """The endpoints of one listener."""

    plain: dict[tuple[str, str], Endpoint] = field(default_factory=dict[tuple[str, str], Endpoint])
    patterns: list[tuple[str, tuple[str, ...], Endpoint]] = field(
        default_factory=list[tuple[str, tuple[str, ...], Endpoint]]
    )

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """*endpoint* gets the exchange, and the segments that stand for `{…}` in order."""
        if "{" in path:
            self.patterns.append((method, tuple(path.split("/")), endpoint))
        else:
            self.plain[method, path] = endpoint

    def find(self, exchange: Exchange) -> tuple[Endpoint, list[str]]:
        """Refusal 404 for an unknown path, 405 for a known one with another method."""
        endpoint = self.plain.get((exchange.method, exchange.path))
        if endpoint:
            return endpoint, []
        segments = tuple(exchange.path.split("/"))
        others = any(path == exchange.path for _, path in self.plain)
        for method, pattern, candidate in self.patterns:
            if (found := _fit(pattern, segments)) is not None:
                if method == exchange.method:
                    return candidate, found
                others = True
        if others:
            raise Refusal(405, f"Not allowed to {exchange.method} on {exchange.path}.")
        raise Refusal(404, f"Invalid URL ({exchange.method} {exchange.path})")


def _fit(pattern: tuple[str, ...], segments: tuple[str, ...]) -> list[str] | None:
    if len(pattern) != len(segments):
        return None
    found: list[str] = []
    for expected, given in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            found.append(given)
        elif expected != given:
            return None
    return found
