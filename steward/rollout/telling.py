"""Until when SDKs are known to have been told that users are exposed: a renewal that nobody passes on renews nothing for users.

A lease that ends at the SDKs while the record still has one would take users off, and the next renewal would bring them back.
So each renewal follows only on word that the one before it is served, and where that word stays out for a lease, it is over.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Telling:
    """Of one rollout's flag. Times are Unix seconds, as SDKs have them."""

    until: float
    """The lease that SDKs are known to have."""
    revision: int
    """Of the store, with the lease that they are to have next."""
    next_until: float

    def renewed(self, revision: int, until: float) -> None:
        """The store, at *revision*, has a lease to *until*: if that is another one, who serves it is to be heard."""
        if until > self.next_until:
            self.revision, self.next_until = revision, until

    def is_served(self, revision: int | None) -> bool:
        """Whether a server that serves *revision* tells of the last lease. None: none says so."""
        if revision is None or revision < self.revision:
            return False
        self.until = max(self.until, self.next_until)
        return True

    def is_over(self, now: float) -> bool:
        """Users may be off already: no renewal may bring them back."""
        return now >= self.until
