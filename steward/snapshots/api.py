"""What the proof needs of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

#: Index names go into request lines, and Elasticsearch reads at most 4,096 bytes of one.
MOST_NAME_BYTES = 2_800


class SearchApi(Protocol):
    """A cluster under one user. `steward.clients.elasticsearch.SearchClient` is one."""

    def request(self, method: str, path: str, body: Any = None, *, ok: Collection[int] = ()) -> Any:
        """The decoded answer. A status in *ok* is an answer too; any other failure raises a StewardError."""
        ...

    def raw(self, method: str, path: str, body: Any = None, *, ok: Collection[int] = ()) -> bytes:
        """The same call's undecoded answer."""
        ...


def in_request_lines(names: Iterable[str]) -> Iterator[str]:
    """*names* joined by commas, in as many pieces as request lines need."""
    piece: list[str] = []
    weight = 0
    for name in names:
        if piece and weight + len(name) >= MOST_NAME_BYTES:
            yield ",".join(piece)
            piece, weight = [], 0
        piece.append(name)
        weight += len(name) + 1
    if piece:
        yield ",".join(piece)
