"""What is asked of a client of Elasticsearch; `steward.clients.elasticsearch` satisfies it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

NOT_FOUND = 404


class Requests(Protocol):
    """One cluster, as one of its users."""

    def request(self, method: str, path: str, body: Any = None, *, ok: Collection[int] = ()) -> Any:
        """The decoded answer; an error status raises a StewardError, except those in *ok*, which are answers too."""
        ...


def found(client: Requests, path: str) -> dict[str, Any] | None:
    """What GET *path* answers, or None where there is no such thing."""
    answer = client.request("GET", path, ok=(NOT_FOUND,))
    return None if answer.get("status") == NOT_FOUND else answer
