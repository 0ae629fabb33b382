"""What can be wrong with a change of a flag, or with the lease of one. The flag is then as it was."""

from __future__ import annotations

from steward.errors import BadInput, Unavailable


class NoSuchFlag(BadInput):
    """The store has no flag of this key."""


class NoSuchVersion(BadInput):
    """The flag never had this version."""


class FlagChangedMeanwhile(BadInput):
    """Somebody else changed it after it was read: neither change is lost, and this one is not made."""

    def __init__(self, key: str, *, found: int, expected: int) -> None:
        seen = f"flag {key} is at version {found}" if found else f"there is no flag {key}"
        wanted = f"version {expected}" if expected else "no flag of this key"
        super().__init__(
            f"{seen}; expected {wanted}", hint="read it again, see its history, and decide anew whether to change it"
        )
        self.key = key
        self.found = found
        self.expected = expected


class LeaseFenced(BadInput):
    """Somebody newer holds the flag's lease: whoever asks here comes too late, and is to stop."""

    def __init__(self, key: str, *, epoch: int, held: int) -> None:
        super().__init__(
            f"the lease of flag {key} is held under epoch {held}; asked for under {epoch}",
            hint="another attempt took this rollout over: end this one, and change nothing more",
        )
        self.key = key
        self.epoch = epoch
        self.held = held


class LeaseExpired(BadInput):
    """The flag's lease has ended, or there is none: whoever was exposed under it no longer is, and that stays so."""

    def __init__(self, key: str, lease_until: int | None) -> None:
        seen = "is under no lease" if lease_until is None else f"was under a lease until {lease_until} (Unix seconds)"
        super().__init__(f"flag {key} {seen}; expected one that lives", hint="roll back, and begin a new rollout")
        self.key = key
        self.lease_until = lease_until


class FlagHeld(Unavailable):
    """A transaction that hangs has the flag, and did not give it up in time."""


class OutcomesRefused(BadInput):
    """Outcomes that the database can never take: none of the batch was counted."""
