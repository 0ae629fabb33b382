"""What cannot be said in the other API."""

from __future__ import annotations

from steward.errors import BadInput


class NotTranslatable(BadInput):
    """A request uses what the other provider's API has no equal for. Names fields, never their content."""
