"""Causes in the words of who pays: what each says to somebody who has read no code."""

from __future__ import annotations

from collections.abc import Mapping

from steward.costs.causes import Cause

LABELS: Mapping[Cause, str] = {
    Cause.PAST_GATEWAY: "Traffic past the gateway",
    Cause.CACHE_WRITE_LIFE: "Cache writes of another life",
    Cause.CACHE_SPLIT: "Cached and uncached input",
    Cause.BOUNDARY_SHIFT: "Counted in another hour",
    Cause.SERVED_TIER: "Billed at another tier",
    Cause.BILLED_MODEL: "Billed as another model",
    Cause.STATED_TWICE: "Stated twice",
    Cause.UNKNOWN_ATTEMPTS: "Attempts without an end",
    Cause.ESTIMATED_STREAMS: "Streams that broke off",
    Cause.WEB_SEARCH: "Web searches",
    Cause.NOT_YET_STATED: "Not stated yet",
    Cause.LONG_CONTEXT: "Rate of long prompts",
    Cause.PRICE_CHANGE: "Price of another time",
    Cause.REGIONAL_RATE: "Regional rate",
    Cause.DISCOUNT: "Discount",
    Cause.COMMITMENT: "Paid by commitment",
    Cause.OTHER_ITEM: "Items that are no tokens",
    Cause.RESTATED: "Restated since the invoice",
    Cause.ROUNDING: "Rounding to cents",
    Cause.CREDIT: "Credits",
    Cause.TAX: "Tax",
    Cause.UNEXPLAINED: "Unexplained",
}
assert LABELS.keys() == set(Cause)  # noqa: S101  a cause without words would be a hole in the statement


def label(cause: Cause, *, agreed: bool) -> str:
    """With a word for the discount that nobody agreed: it is a finding, the other is not."""
    if cause is Cause.DISCOUNT:
        return "Discount as agreed" if agreed else "Discount that nobody agreed"
    return LABELS[cause]
