"""Which snapshots may go. Deleting is the one step that cannot be taken back, so it is decided here, in one place.

Nothing goes unless tonight is VERIFIED. Only snapshots that Steward took are ever touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.verdicts import Verdict


class KnownSnapshot(BaseModel):
    """A snapshot in the repository that Steward's own record knows."""

    model_config = ConfigDict(frozen=True)

    name: str
    night: date
    taken_at: AwareDatetime
    state: str
    """Elasticsearch's: SUCCESS, PARTIAL, FAILED, IN_PROGRESS, …"""
    verdict: Verdict | None
    """None: its attempt never came to one."""

    @property
    def is_verified(self) -> bool:
        """Whether it may count as a backup. PARTIAL never counts, whatever else was said of it."""
        return self.verdict is Verdict.VERIFIED and self.state == "SUCCESS"


class ExpiryPlan(BaseModel):
    """What goes, with the reason of each."""

    model_config = ConfigDict(frozen=True)

    delete: dict[str, str] = {}


def plan_expiry(
    snapshots: Iterable[KnownSnapshot], tonight: str, verdict: Verdict, now: datetime, retention_days: int
) -> ExpiryPlan:
    """What may go after *tonight*, whose verdict is *verdict*.

    - Superseded: an earlier attempt at tonight's night, now that tonight is VERIFIED; a REFUTED one stays until it
      expires, for whoever looks into it.
    - Expired: older than *retention_days*, and not the newest VERIFIED one.
    """
    known = sorted(snapshots, key=lambda snapshot: snapshot.taken_at)
    this = next((snapshot for snapshot in known if snapshot.name == tonight), None)
    if verdict is not Verdict.VERIFIED or this is None or this.state != "SUCCESS":
        return ExpiryPlan()
    newest = [s for s in known if s.is_verified or s.name == tonight][-1]
    limit = now - timedelta(days=retention_days)
    delete: dict[str, str] = {}
    for snapshot in known:
        if snapshot.name in {tonight, newest.name}:
            continue
        # Earlier ones only: a dead attempt that wakes late must not delete the snapshot of the one that replaced it.
        earlier = snapshot.night == this.night and snapshot.taken_at < this.taken_at
        if earlier and snapshot.verdict is not Verdict.REFUTED:
            delete[snapshot.name] = f"superseded by {tonight}, a later attempt at the same night"
        elif snapshot.night < this.night and snapshot.taken_at < limit:
            delete[snapshot.name] = f"older than {retention_days} days"
    return ExpiryPlan(delete=delete)
