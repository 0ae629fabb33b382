"""Servers that are not what they should be: a port where nothing listens, and one that never answers."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager


def closed_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def silent_port() -> Generator[int]:
    """A port that accepts connections and says nothing: a frozen server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
