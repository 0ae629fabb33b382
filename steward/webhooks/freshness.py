"""Whether what a delivery tells of is new enough to act upon."""

from __future__ import annotations

from datetime import datetime, timedelta

from steward.webhooks.delivery import Delivery
from steward.webhooks.errors import Stale

#: How far a sender's clock may be ahead of ours.
AHEAD = timedelta(minutes=5)


def demand_fresh(delivery: Delivery, *, window_hours: int, now: datetime) -> None:
    """Raises Stale: a delivery that was recorded long ago starts nothing, though its signature is right for ever."""
    age = now - delivery.occurred_at
    if age > timedelta(hours=window_hours):
        raise Stale(
            f"{delivery.key} happened {age.total_seconds() / 3600:.1f} h ago; expected at most {window_hours} h",
            hint=f"let it happen anew; window_hours of [webhooks.sources.{delivery.source}] is how old it may be",
        )
    if age < -AHEAD:
        raise Stale(
            f"{delivery.key} happens {-age.total_seconds():.0f} s from now; "
            f"expected at most {AHEAD.total_seconds():.0f}",
            hint="compare the sender's clock with ours",
        )
