"""What is told of attempts at providers."""

from __future__ import annotations

from steward.errors import BadInput, StewardError


class AttemptUnusable(BadInput):
    """What is to be entered of an attempt contradicts itself, or could hold content."""


class UsageUnreadable(StewardError):
    """A provider's usage is missing, or not as documented: what was used is not known, and not zero."""


class AttemptMissing(StewardError):
    """The ledger has no such attempt."""


class AttemptOver(StewardError):
    """The attempt is in a state that does not lead to the one asked for: it must not be sent, or is settled already."""


class AttemptEnteredOtherwise(BadInput):
    """The ledger has another attempt under this id, or other figures for it."""


class HourClosed(StewardError):
    """The attempt's hour is closed: what is found out later is told beside it."""


class SealDiffers(StewardError):
    """What is under Object Lock in the place of a sealed hour is not that hour."""


class CatalogUnusable(BadInput):
    """The file of aliases and routes cannot be read, or contradicts itself."""


class LimitsUnreadable(StewardError):
    """A provider lists its limits otherwise than documented: they are not known."""


class NoAdministration(BadInput):
    """The provider's administration cannot be asked for this account."""
