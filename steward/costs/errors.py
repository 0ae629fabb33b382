"""What stops a reconciliation before it has a figure: no cost is published that could not be had whole."""

from __future__ import annotations

from steward.errors import BadInput


class PriceUnknown(BadInput):
    """A model, tier or unit has no price. Never the standard one: an invoice would differ without a cause."""


class PricesUnusable(BadInput):
    """The file of our own prices is not what it ought to be."""


class PageUnusable(BadInput):
    """A provider's report is not whole, or not what its reference says: nothing of it is taken for a cost."""
