"""How long tenants' keys stay in memory, and how hard keyring and vault are asked for them."""

from __future__ import annotations

from dataclasses import dataclass

from steward.fieldcrypt.errors import ImpossibleCachePolicy


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """The defaults suit an application server. Raises ImpossibleCachePolicy."""

    ttl_seconds: float = 300.0
    """How long loaded keys are used before they must be loaded anew; within it, and `vouch_seconds`, a revocation takes
    effect."""
    jitter: float = 0.1
    """The part by which each tenant's TTL is longer or shorter, so that those loaded together do not expire together."""
    refresh_at: float = 0.8
    """The part of the TTL after which a use asks for a load in the background."""
    vouch_seconds: float = 30.0
    """How long one unwrapping by a version of the vault's key speaks for unchanged keys of other tenants under it.

    Without it, ten thousand busy tenants make each process ask the vault 42 times a second, and three such processes
    exceed what Azure allows an RSA key of 3072 bits: they would live on stale keys. With it, a process asks about once in
    so many seconds, beside the tenants that are cold, and a revocation takes so much longer."""
    stale_seconds: float = 900.0
    """How long past its TTL a tenant is served while keyring or vault is away."""
    most_tenants: int = 10_000
    """How many are kept; the least recently used go first."""
    most_uses: int = 2**20
    """After so many uses of a tenant's keys they are loaded anew, before their time."""
    load_seconds: float = 10.0
    """How long a request waits for keys that are not in memory."""
    most_loads: int = 8
    """How many loads run at once that somebody waits for."""
    most_background_loads: int = 2
    """How many run beside them that nobody waits for, such as those of all tenants in a rotation. Each rests so long that it
    takes an eighth of a processor: requests share the interpreter with it."""
    retry_seconds: float = 1.0
    """The pause after a failed load, doubled at each further one while the tenant is served from memory."""
    most_retry_seconds: float = 30.0
    """The longest such pause; a server that asks for a longer one gets up to a minute."""
    seek_seconds: float = 1.0
    """The least time between two loads of a tenant for key ids that nobody here knows."""

    def __post_init__(self) -> None:
        counts = (self.most_tenants, self.most_uses, self.most_loads, self.most_background_loads)
        if (
            min(*counts, self.ttl_seconds, self.retry_seconds) <= 0
            or min(self.stale_seconds, self.load_seconds, self.seek_seconds, self.vouch_seconds) < 0
        ):
            raise ImpossibleCachePolicy(f"{self} has a number that is too small", hint="times and counts are positive")
        if not 0 <= self.jitter < 1 or not 0 < self.refresh_at <= 1:
            raise ImpossibleCachePolicy(
                f"jitter {self.jitter} and refresh_at {self.refresh_at} are parts of the TTL",
                hint="give them as numbers between 0 and 1: 0.1 and 0.8",
            )


DEFAULT = CachePolicy()
