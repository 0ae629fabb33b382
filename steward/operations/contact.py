"""Whether leases may be believed: only after a whole lease of unbroken contact with a clock that runs evenly."""

from __future__ import annotations

from dataclasses import dataclass

#: Clocks are slewed by a few hundred parts per million; whatever moves one this far in a second has set it.
_JUMP_SECONDS = 1.0


@dataclass
class Contact:
    """The watch's hold on the ledger's clock.

    A database that was away, or whose clock was set forward, makes every lease look expired; its holders are alive and
    renew at their next beat. So nobody is reaped until a lease's length after the last such thing.
    """

    settling_since: float | None = None
    """Monotonic seconds; None: there is no contact."""
    why: str = "the watch has just started"
    _offsets: tuple[float, float] | None = None
    _heard: float = 0.0

    def hear(self, sent: float, heard: float, database: float, lease_seconds: float) -> None:
        """The database's clock said *database* (Unix seconds) between the monotonic moments *sent* and *heard*."""
        offsets = database - heard, database - sent
        if self._offsets and not _agree(self._offsets, offsets):
            moved = sum(offsets) / 2 - sum(self._offsets) / 2
            self._unsettle(heard, f"the database's clock jumped by {moved:+.1f} s")
        elif self.settling_since is None:
            self.settling_since = heard
        elif heard - self._heard > lease_seconds / 2:
            # In that silence the database may have been away, and its holders may not have renewed.
            self._unsettle(heard, f"nothing was heard of the database for {heard - self._heard:.1f} s")
        self._offsets, self._heard = offsets, heard

    def lose(self, why: str) -> None:
        """The database did not answer."""
        self.settling_since, self.why = None, why

    def is_settled(self, now: float, lease_seconds: float) -> bool:
        """Whether an expired lease means a dead holder."""
        if self.settling_since is None or now - self._heard > lease_seconds / 2:
            # Whoever asked the database before this silence, and was answered after it, knows nothing of renewals.
            return False
        return now - self.settling_since >= lease_seconds

    def database_seconds(self, now: float) -> float | None:
        """The database's clock at the monotonic moment *now*, in Unix seconds; None: it was never heard."""
        return now + sum(self._offsets) / 2 if self._offsets else None

    def _unsettle(self, now: float, why: str) -> None:
        self.settling_since, self.why = now, why


def _agree(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] - _JUMP_SECONDS <= other[1] and other[0] <= one[1] + _JUMP_SECONDS
