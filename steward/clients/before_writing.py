"""What a client asks right before it sends a request that changes something: whether it still may.

A client knows nothing of operations. It calls what it was given, and whoever opened it passes the ledger's guard.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context

#: Called before a write is sent. What it raises keeps the write from leaving.
BeforeWrite = Callable[[], None]

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_write(method: str) -> bool:
    """Whether a request by *method* may change something on the server: all but HTTP's safe methods (RFC 9110, 9.2.1)."""
    return method.upper() not in _READS


def in_context_of_opening(before_write: BeforeWrite) -> BeforeWrite:
    """*before_write* as it would run here and now, in whatever thread the client sends: threads inherit no context."""
    opened = copy_context()
    # A copy a call: a context can be entered by one thread at a time.
    return lambda: opened.copy().run(before_write)
