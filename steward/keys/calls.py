"""Calls of the vault as Steward's own journal has them, and what a statement says of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, cast
from uuid import UUID

from pydantic import JsonValue

from steward.errors import BadInput
from steward.keys.actions import Action

#: What signatures of the evidence log's checkpoints are for: they are their own statements.
CHECKPOINT = "checkpoint"
_MOST_PURPOSE = 200
_MOST_COMMAND = 300


@dataclass(frozen=True, slots=True)
class Note:
    """On whose behalf calls are made: a flow's operation, by its id in the ledger, or a command, or nobody's.

    Raises BadInput where the journal could not hold it.
    """

    purpose: str
    """What for, in a few words without secrets: they are kept for ever."""
    operation_id: int | None = None
    command: str | None = None
    """The same when the command is run again: what an interrupted one did is told by the next one's statement."""

    def __post_init__(self) -> None:
        command = "-" if self.command is None else self.command
        fits = 0 < len(self.purpose) <= _MOST_PURPOSE and 0 < len(command) <= _MOST_COMMAND
        twice = self.operation_id is not None and self.command is not None
        if not fits or twice or "\0" in self.purpose + command:
            raise BadInput(
                f"the journal of key calls cannot hold {self.purpose[:40]!r} of {self.command!r:.40}",
                hint=f"a purpose of 1 to {_MOST_PURPOSE} characters, and an operation's id or a command, not both",
            )


@dataclass(frozen=True, slots=True)
class KeyCall:
    """One row: announced before it left. Whether it arrived, the vault's log tells."""

    id: int
    request_id: UUID
    action: Action
    note: Note
    noted_at: datetime


class KeyCalls(TypedDict):
    """The figure `key_calls` of a statement: which rows of the journal it speaks for, and their digest."""

    operation: int | None
    command: str | None
    count: int
    by_action: dict[str, int]
    through: int
    """The last row that it speaks for; what the same operation calls later is not in it."""
    digest: str


def key_calls(calls: Iterable[KeyCall], *, operation: int | None = None, command: str | None = None) -> KeyCalls:
    """What a statement says of *calls*, all that the journal has of one operation or command so far."""
    told = list(calls)
    return KeyCalls(
        operation=operation,
        command=command,
        count=len(told),
        by_action=dict(sorted(Counter(call.action.operation for call in told).items())),
        through=max((call.id for call in told), default=0),
        digest=digest_of(call.request_id for call in told),
    )


def as_figure(calls: KeyCalls) -> dict[str, JsonValue]:
    """As a statement takes it."""
    return cast("dict[str, JsonValue]", calls)


def digest_of(request_ids: Iterable[UUID]) -> str:
    """SHA-256, in hex, of the sorted request ids in their usual form, joined by line feeds."""
    return hashlib.sha256("\n".join(sorted(map(str, request_ids))).encode()).hexdigest()


def told_calls(figures: dict[str, Any]) -> KeyCalls | None:
    """The figure of a statement; None where it has none, or something else under that name."""
    told: Any = figures.get("key_calls")
    kinds = {"count": int, "through": int, "digest": str, "by_action": dict}
    if not isinstance(told, dict) or not all(isinstance(told.get(name), kind) for name, kind in kinds.items()):
        return None
    scope: tuple[Any, Any] = told.get("operation"), told.get("command")
    if not isinstance(scope[0], int | None) or not isinstance(scope[1], str | None):
        return None
    return KeyCalls(
        operation=scope[0],
        command=scope[1],
        count=told["count"],
        by_action=told["by_action"],
        through=told["through"],
        digest=told["digest"],
    )
