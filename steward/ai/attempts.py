"""One request that is sent to a provider, or was to be: what it is, where it stands, and how it ended. Never its content."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from steward.ai.errors import AttemptUnusable
from steward.ai.usage import CLASSES, Usage

#: As the database has it: printable and without a space, so that no prompt and no message fits through.
_NAME = re.compile("[!-~]{1,200}")
_LONGEST_TENANT = 255
_STATUSES = range(100, 600)


class State(StrEnum):
    """Where an attempt stands."""

    RESERVED = "reserved"
    """Entered; nothing was sent. Its ticket dies unsent within seconds."""
    SENT = "sent"
    """Its first byte may have left."""
    SETTLED = "settled"
    """What it used is known, or known to lie between two figures. A refusal by the provider used nothing."""
    ABORTED = "aborted"
    """It never reached the provider."""
    UNKNOWN = "unknown"
    """Sent, and nobody knows what came of it: it may be billed."""


#: Which state may follow which; the database refuses every other.
MOVES: Mapping[State, frozenset[State]] = {
    State.RESERVED: frozenset({State.SENT, State.ABORTED}),
    State.SENT: frozenset({State.SETTLED, State.ABORTED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.SETTLED, State.ABORTED}),
    State.SETTLED: frozenset(),
    State.ABORTED: frozenset(),
}
OPEN = frozenset({State.RESERVED, State.SENT})


def may_follow(state: State) -> frozenset[State]:
    """The states from which *state* is reached."""
    return frozenset(before for before, after in MOVES.items() if state in after)


class Ending(StrEnum):
    """How it ended."""

    COMPLETED = "completed"
    """Answered to the end, usage told."""
    REFUSED = "refused"
    """The provider answered with an error: 4xx, 429, 5xx, 529."""
    CUT = "cut"
    """The connection broke before the end."""
    TRUNCATED = "truncated"
    """The stream ended as if it were whole, and told no usage."""
    CANCELLED = "cancelled"
    """Our caller left before the end."""
    TIMED_OUT = "timed_out"
    NOT_SENT = "not_sent"
    """No byte of it left."""
    LOST = "lost"
    """Its worker died with it."""


_ENDINGS: Mapping[State, frozenset[Ending]] = {
    State.SETTLED: frozenset(Ending) - {Ending.NOT_SENT, Ending.LOST},
    State.ABORTED: frozenset({Ending.NOT_SENT}),
    State.UNKNOWN: frozenset(Ending) - {Ending.COMPLETED, Ending.NOT_SENT},
}


def new_id() -> UUID:
    """A UUID of version 7: later ones sort later, to a quarter of a microsecond, so the ledger's index grows at its end.

    RFC 9562, 5.7 and method 3 of 6.2: the twelve bits after the milliseconds are a fraction of them.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction, random = rest * 4096 // 1_000_000, int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is known before it is sent. AttemptUnusable where a name could hold content.

    `key_id` names our caller's key; `credential_version` the version of ours at the provider. `ordinal` counts the
    attempts of one client's request from 1.
    """

    id: UUID
    request: UUID
    ordinal: int = 1
    tenant: str
    project: str | None = None
    key_id: str
    provider: str
    account: str
    credential_version: str
    alias: str
    model_asked: str
    tier_asked: str | None = None
    is_stream: bool = False
    reserved_input: int
    reserved_output: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.tenant.encode()) <= _LONGEST_TENANT:
            raise AttemptUnusable(f"a tenant's name has 1 to {_LONGEST_TENANT} bytes", hint="see docs/ai-ledger.md")
        _named(self, ("key_id", "provider", "account", "credential_version", "alias", "model_asked"))
        _named(self, ("project", "tier_asked"), may_be_absent=True)
        if self.ordinal < 1 or self.reserved_input < 0 or self.reserved_output < 0:
            raise AttemptUnusable("an attempt counts from 1, and reserves no less than nothing", hint="see Attempt")

    def row(self) -> dict[str, Any]:
        """Its columns, as JSON has them."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return told | {"id": str(self.id), "request": str(self.request)}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which figures the truth lies, where a stream ended before its usage was told: [seen, what was allowed]."""

    input_low: int
    input_high: int
    output_low: int
    output_high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is known when it is over. `usage` belongs to what is settled and to nothing else; `bounds` make it an estimate.

    `error_class` is a name (`rate_limit_error`), never a message. `model_served` and `tier_served` are the provider's
    own words: what was asked for is not what is billed.
    """

    ending: Ending
    usage: Usage | None = None
    bounds: Bounds | None = None
    http_status: int | None = None
    error_class: str | None = None
    provider_request_id: str | None = None
    model_served: str | None = None
    tier_served: str | None = None
    prices_version: str | None = None
    first_token_ms: int | None = None
    latency_ms: int | None = None

    def __post_init__(self) -> None:
        names = ("error_class", "provider_request_id", "model_served", "tier_served", "prices_version")
        _named(self, names, may_be_absent=True)
        if self.http_status is not None and self.http_status not in _STATUSES:
            raise AttemptUnusable(f"{self.http_status} is no status of HTTP", hint="expected 100 to 599")
        if self.bounds:
            _bounded(self.usage, self.bounds)

    def row(self, state: State) -> dict[str, Any]:
        """Its columns in *state*, as JSON has them. AttemptUnusable where the two do not go together."""
        if self.ending not in _ENDINGS.get(state, frozenset()) or (self.usage is None) == (state is State.SETTLED):
            raise AttemptUnusable(
                f"an attempt that {self.ending} {'with' if self.usage else 'without'} usage is not {state}",
                hint="settled: usage, be it zero or an estimate; aborted: never sent; unknown: no usage",
            )
        told = {name: getattr(self, name) for name in self.__slots__ if name not in {"usage", "bounds"}}
        told |= asdict(self.usage) if self.usage else dict.fromkeys(CLASSES)
        told |= asdict(self.bounds) if self.bounds else dict.fromkeys(Bounds.__slots__)
        return told | {"is_estimate": self.bounds is not None}


def as_name(told: str | None) -> str | None:
    """What a provider *told*, where it is a name that the ledger takes; None: it is not kept."""
    return told if told is not None and _NAME.fullmatch(told) else None


def _named(value: Attempt | Outcome, names: Iterable[str], *, may_be_absent: bool = False) -> None:
    for name in names:
        told = getattr(value, name)
        if told is None and may_be_absent:
            continue
        if not isinstance(told, str) or not _NAME.fullmatch(told):
            # The value is not echoed: it may be what must not be kept.
            raise AttemptUnusable(
                f"{name} is no name", hint="expected 1 to 200 printable ASCII characters without a space"
            )


def _bounded(usage: Usage | None, bounds: Bounds) -> None:
    if usage is None:
        raise AttemptUnusable("bounds without a figure between them", hint="give the usage that was seen")
    for name, low, figure, high in (
        ("input", bounds.input_low, usage.input, bounds.input_high),
        ("output", bounds.output_low, usage.output, bounds.output_high),
    ):
        if not 0 <= low <= figure <= high:
            raise AttemptUnusable(f"{name} is {figure}, outside of [{low}, {high}]", hint="low <= figure <= high")


#: No byte of it left.
UNSENT = Outcome(ending=Ending.NOT_SENT)
