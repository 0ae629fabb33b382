"""How a question to PostgreSQL that gets no answer is ended from this side."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from psycopg import AsyncConnection


@contextmanager
def cut_off_after(connection: AsyncConnection[Any], seconds: float) -> Generator[None]:
    """End *connection* under a question of the block that takes longer: it raises OperationalError then.

    The server's own limits do not help where its process hangs, and a question that is only cancelled asks the same server to stop.
    """
    # A descriptor of its own: the connection's may be closed, and its number given away, when the time comes.
    with socket.socket(fileno=os.dup(connection.fileno())) as descriptor:
        late = asyncio.get_running_loop().call_later(max(seconds, 0), descriptor.shutdown, socket.SHUT_RDWR)
        try:
            yield
        finally:
            late.cancel()
