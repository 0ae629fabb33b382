"""What keeps a provider's key from being changed for another."""

from __future__ import annotations

from steward.errors import BadInput, StewardError, Unavailable
from steward.verdicts import NotVerified


class NotRotatable(BadInput):
    """The settings, the vault or the provider do not have what a rotation of this account needs; nothing was touched."""


class PoolEmpty(NotRotatable):
    """The vault's pool has no key left that could be taken."""


class ProviderUnavailable(Unavailable):
    """The provider does not answer, or answers that it cannot now."""


class ProviderRefused(StewardError):
    """The provider answers, and refuses: asking again changes nothing."""


class NewKeyRefused(StewardError):
    """The provider does not take the key that was made or drawn: it was not put into use."""


class SecretChangedMeanwhile(StewardError):
    """Somebody else has set another version of the secret since the rotation began."""


class KeyNotRotated(NotVerified):
    """The rotation ended REFUTED or UNKNOWN."""
