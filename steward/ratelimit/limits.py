"""What is limited, what a request costs, and how a ring keeps the one below the other."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from steward.ratelimit.errors import ImpossibleLimits, NeverFits

#: Numbers pass through doubles; up to here all whole ones are exact, sums of a window included.
_MOST = 10**12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@%-]{0,199}")
_LONGEST_TENANT = 200
#: A ring's call reads a bucket a second at worst.
_LONGEST_WINDOW, _LONGEST_DISPATCH = 3600, 60
_HEAVIEST = 1_000_000


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise ImpossibleLimits(f"{name} is {value!r}", hint=f"expected a whole number from {least} to {_MOST:,}")


def _within(name: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not least <= value <= most or value != int(value):
        raise ImpossibleLimits(f"{name} is {value!r}", hint=f"expected whole seconds from {least} to {most}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request takes. Before it is sent: at most, so `output_tokens` is the most that it may produce."""

    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0

    def __post_init__(self) -> None:
        for name, value in zip(("requests", "input_tokens", "output_tokens"), self.counts, strict=True):
            _whole(name, value, 0)

    @property
    def counts(self) -> tuple[int, int, int]:
        """As the ring counts."""
        return self.requests, self.input_tokens, self.output_tokens

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


NOTHING = Cost(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so much in any window. None: no such limit. `tokens` limits input and output together."""

    requests: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.by_name.items():
            if value is not None or name == "requests":
                _whole(name, value, 1)

    @property
    def by_name(self) -> dict[str, int | None]:
        """In the ring's order."""
        return {
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tokens": self.tokens,
        }

    def demand_room_for(self, cost: Cost, share: float) -> None:
        """Raises NeverFits when *cost* is above *share* of a limit even while nobody else uses any."""
        for name, limit in self.by_name.items():
            asked: int = getattr(cost, name)
            if limit is not None and asked > math.floor(limit * share):
                most = math.floor(limit * share)
                of = f"of the limit of {limit:,}" if share < 1 else "in a window"
                raise NeverFits(
                    f"one request asks for {asked:,} {name}; a tenant may have {most:,} {of}",
                    hint="ask for less (a lower max_tokens, a shorter prompt), or raise limit or share",
                )


@dataclass(frozen=True, slots=True)
class Policy:
    """How a ring is kept. All who share a ring should have the same policy."""

    window_seconds: int = 60
    #: From just before the reservation is asked for until the request has reached the provider, its network included.
    #: 0: what is limited happens here, so nothing is on its way.
    dispatch_seconds: int = 2
    #: Of these, what the network may take: a ticket dies so much earlier. 0: what is sent arrives at once.
    transit_seconds: int = 0
    #: The most of each limit that one tenant may have in a ring.
    tenant_share: float = 1.0
    #: What a ring is of which nothing is known. `empty` only where the limit is our own and a burst harms nobody.
    start: Literal["exhausted", "empty"] = "exhausted"

    def __post_init__(self) -> None:
        _within("window_seconds", self.window_seconds, 1, _LONGEST_WINDOW)
        _within("dispatch_seconds", self.dispatch_seconds, 0, _LONGEST_DISPATCH)
        # Something has to be left to whoever sends, or every ticket is born dead.
        _within("transit_seconds", self.transit_seconds, 0, max(0, self.dispatch_seconds - 1))
        if not 0 < self.tenant_share <= 1:
            raise ImpossibleLimits(f"tenant_share is {self.tenant_share!r}", hint="expected above 0 and at most 1")

    @property
    def ring_seconds(self) -> int:
        """How long a reservation counts: one second more, for its bucket is counted until all of it is out."""
        return self.window_seconds + self.dispatch_seconds + 1

    @property
    def ticket_seconds(self) -> float:
        """How long a ticket lives; for ever where nothing is on its way."""
        return self.dispatch_seconds - self.transit_seconds or math.inf


#: For limits of ours on what comes in: nothing is on its way, and a lost count lets through one window's more.
INBOUND = Policy(dispatch_seconds=0, start="empty")


@dataclass(frozen=True, slots=True)
class Ring:
    """What one limit is about: `provider:account:model`. All who use it share it, in every process."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ImpossibleLimits(
                f"a ring cannot be called {self.name[:210]!r}",
                hint="expected up to 200 letters, digits and . _ : / @ % -, as in openai:openai-main:gpt-5",
            )

    def key(self, *more: str) -> str:
        """All of a ring's keys are in one slot of the cluster, for its name is their hash tag."""
        return ":".join((f"limit:{{{self.name}}}", *more))


def demand_tenant(tenant: str, weight: float) -> None:
    """Raises ImpossibleLimits for what cannot be a tenant's name or weight."""
    if not tenant or len(tenant) > _LONGEST_TENANT:
        raise ImpossibleLimits(
            f"a tenant's name has {len(tenant)} characters", hint=f"expected 1 to {_LONGEST_TENANT} of them"
        )
    if not 1 / _HEAVIEST <= weight <= _HEAVIEST:
        raise ImpossibleLimits(f"weight is {weight!r}", hint="expected a number above 0; 1 is the usual one")
