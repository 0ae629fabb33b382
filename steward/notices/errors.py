"""Why a notice could not be told. None of these ends a rollout: what was not told is in its evidence."""

from __future__ import annotations

from steward.errors import BadInput, StewardError, Unavailable


class TemplatesUnusable(BadInput):
    """A template cannot be read, or does not render for some notice."""


class NoticeUnfit(StewardError):
    """What the template made of the notice is nothing that its receiver can be sent."""


class ReceiverUnavailable(Unavailable):
    """The receiver does not answer, or cannot now.

    `retry_after_seconds`: where it says when. `may_have_arrived`: the answer is what is missing, not the message.
    """

    def __init__(
        self, message: str, *, hint: str = "", retry_after_seconds: float = 0.0, may_have_arrived: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds
        self.may_have_arrived = may_have_arrived


class ReceiverRefused(StewardError):
    """The receiver does not take it, and will not a second time."""
