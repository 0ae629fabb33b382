"""A reservation in the hands of whoever is about to send the request it was made for."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from steward.ratelimit.errors import TicketDied, TicketUsed
from steward.ratelimit.limits import Cost, Limits, Ring

Clock = Callable[[], float]


def ticket_id() -> str:
    """Unique among the tickets of one second of one ring."""
    return secrets.token_urlsafe(9)


@dataclass(slots=True, eq=False)
class Ticket:
    """Good for one request, until `dies_at`. `send()` right before the first byte leaves."""

    ring: Ring
    tenant: str
    cost: Cost
    limits: Limits
    weight: float
    #: The second of Redis's clock in which it counts.
    bucket: int
    #: The life of the ring it counts in: after lost state there is another, which knows nothing of it.
    epoch: str
    #: By the clock of this process, counted from before the reservation was asked for. Infinite where nothing is sent.
    dies_at: float
    clock: Clock = field(repr=False)
    id: str = field(default_factory=ticket_id)
    sent: bool = False

    def alive(self) -> bool:
        """Whether it may still be sent."""
        return not self.sent and self.clock() < self.dies_at

    def send(self) -> None:
        """Use it. Raises TicketDied when it is too late, TicketUsed when it was used before."""
        if self.sent:
            raise TicketUsed(
                f"the ticket of {self.ring.name} was sent before", hint="reserve again for every attempt, retries too"
            )
        late = self.clock() - self.dies_at
        if late >= 0:
            raise TicketDied(
                f"the ticket of {self.ring.name} died {late:.3f} s ago, unsent",
                hint="cancel it and reserve again; if it happens often, this process is too busy to send in time",
            )
        self.sent = True

    def used(self, actual: Cost) -> Cost:
        """What is settled for *actual*: what was sent was a request, whatever became of it."""
        if self.sent and actual.requests < self.cost.requests:
            return Cost(self.cost.requests, actual.input_tokens, actual.output_tokens)
        return actual
