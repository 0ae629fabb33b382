"""An operation, two runs that are at it, and a step of theirs."""

from __future__ import annotations

from steward.operations.claims import Identity, Run, Terms
from steward.operations.steps import Step

NIGHT = Identity("night", "production", "2025-07-31")
AT_ONCE = Terms(wait_seconds=0)
FIRST, SECOND = Run("00000000-0000-0000-0000-000000000001"), Run("00000000-0000-0000-0000-000000000002")


def lose(book, operation):
    """As a process that was frozen beyond its lease."""
    book.query(
        "UPDATE steward.operations SET lease_until = clock_timestamp() - lease WHERE id = %(id)s", id=operation.id
    )


def step(body=lambda: "made", **options):
    return Step(name="make", body=body, **options)


def counted():
    calls = []

    def body():
        calls.append(None)
        return len(calls)

    return calls, body


def interrupt():
    raise KeyboardInterrupt


def reset():
    raise ConnectionResetError
