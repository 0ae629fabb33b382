"""Why a rollout may not do what it was about to do."""

from __future__ import annotations

from steward.errors import StewardError


class RolloutEnded(StewardError):
    """It is certified or rolled back: what ended stays."""


class RolloutWithdrawn(StewardError):
    """It is on its way back, and that is one-way."""


class NewerAttempt(StewardError):
    """Another attempt holds the rollout: this one may change nothing any more."""


class LeaseExpired(StewardError):
    """Nobody renewed the exposure in time, so users are no longer exposed. An expired lease is never renewed."""


class StepNotProved(StewardError):
    """It was about to expose more users, or to certify, without a GO on what is exposed now."""


class ApprovalMissing(StewardError):
    """The plan asks a person after this step, and nobody has approved."""


class OutOfOrder(StewardError):
    """A rollout in this state cannot do that."""
