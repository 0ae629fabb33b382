"""What can be wrong with a limit or a reservation."""

from __future__ import annotations

from steward.errors import BadInput, StewardError, Unavailable


class RateLimitError(StewardError):
    """Nothing was reserved."""


class LimitReached(RateLimitError, Unavailable):
    """The limit is used up for now, or it is another tenant's turn: ask again later."""

    def __init__(self, message: str, *, retry_after_seconds: float, dimension: str, why: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        #: When it is worth another try, if nobody else reserves meanwhile.
        self.retry_after_seconds = retry_after_seconds
        #: `requests`, `input_tokens`, `output_tokens` or `tokens`; empty where no single one is to blame.
        self.dimension = dimension
        #: `limit`, `share`, `turn`, `starting`, `throttled` or `shrunk`; docs/ratelimit.md says what each means.
        self.why = why


class NeverFits(RateLimitError, BadInput):
    """One request costs more than the whole limit, or than one tenant's share of it: waiting is in vain."""


class ImpossibleLimits(RateLimitError, BadInput):
    """Limits, a cost, a policy or a ring's name that no ring can follow."""


class LimiterUnavailable(RateLimitError, Unavailable):
    """Redis cannot say, so nobody knows what is left of the limit: nothing may be sent."""

    #: How long until it is worth another try.
    retry_after_seconds: float = 1.0


class LimiterNotLoaded(LimiterUnavailable):
    """Redis answers, and does not have this release's functions."""

    transient = False


class TicketDied(RateLimitError, Unavailable):
    """The reservation was not used in time: sent now, it would count in another window than it was made for."""


class TicketUsed(RateLimitError, BadInput):
    """One reservation is for one request, which was sent already."""
