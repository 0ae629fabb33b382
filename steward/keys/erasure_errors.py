"""What stops an erasure before it has begun."""

from __future__ import annotations

from steward.errors import BadInput


class NotConfirmed(BadInput):
    """The name that was typed again is not the tenant's; nothing has been touched."""


class ReasonMissing(BadInput):
    """Nobody says why the tenant is to be erased; nothing has been touched."""


class NotErasable(BadInput):
    """This tenant is never erased, or not by this flow; nothing has been touched."""


class NothingToProveBy(BadInput):
    """The settings name no application: an erasure could be made, and not proved."""
