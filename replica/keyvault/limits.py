"""Azure's published limits for a vault, as data.

Source: https://learn.microsoft.com/azure/key-vault/general/service-limits ("Resource type: vault"), read in the edition of
2025: the most transactions that one vault serves in 10 seconds; five times that for all vaults of a subscription.
"The throttling thresholds are weighted, and enforcement is on their sum": so each kind of transaction takes its share of a
pool. Which kinds share one is read from the page's example, which counts software and HSM keys, and all sizes, against
one another; creations have limits of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_SECONDS = 10
SUBSCRIPTION_FACTOR = 5


@dataclass(frozen=True, slots=True)
class Transaction:
    """One kind of transaction: it takes one *limit*-th of what its *pool* allows in a window."""

    pool: str
    limit: int


@dataclass(frozen=True, slots=True)
class _KeyLimits:
    hsm_create: int
    hsm_other: int
    software_create: int
    software_other: int


_KEYS: Mapping[str, _KeyLimits] = {
    "RSA 2048": _KeyLimits(10, 2_000, 20, 4_000),
    "RSA 3072": _KeyLimits(10, 500, 20, 1_000),
    "RSA 4096": _KeyLimits(10, 250, 20, 500),
    "EC P-256": _KeyLimits(10, 2_000, 20, 4_000),
    "EC P-384": _KeyLimits(10, 2_000, 20, 4_000),
    "EC P-521": _KeyLimits(10, 2_000, 20, 4_000),
    "EC P-256K": _KeyLimits(10, 2_000, 20, 4_000),
}
# The page has no line for symmetric keys, nor for what concerns no single key (a listing): its mildest holds for them.
_OTHERWISE = _KEYS["RSA 2048"]

SECRET_CREATE = Transaction("secret creations", 300)
SECRET_OTHER = Transaction("secrets", 4_000)
KEY_LISTING = Transaction("keys", _OTHERWISE.software_other)


def key_create(shape: str, *, hsm: bool) -> Transaction:
    """Creating, importing or rotating a key; *shape* is its type and its size or curve, as in `RSA 3072`, `EC P-256`."""
    limits = _KEYS.get(shape, _OTHERWISE)
    return Transaction("key creations", limits.hsm_create if hsm else limits.software_create)


def key_other(shape: str, *, hsm: bool) -> Transaction:
    """Any other transaction on a key of *shape*."""
    limits = _KEYS.get(shape, _OTHERWISE)
    return Transaction("keys", limits.hsm_other if hsm else limits.software_other)
