"""What a release has in store for a user: the same at each visit, whatever process serves it."""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

from demo.shop.releases import Dials

_NORMAL = NormalDist()


def errs(dials: Dials, user: str, seed: int) -> bool:
    """Whether *user*'s searches fail. Whoever errs at some percentage errs at every higher one."""
    return 100 * _place("errs", user, seed) < dials.erring_percent


def finds_nothing(dials: Dials, user: str, seed: int) -> bool:
    """Whether *user*'s searches end with nothing, and without an error."""
    return 100 * _place("finds", user, seed) < dials.fruitless_percent


def waits_seconds(dials: Dials, user: str, seed: int) -> float:
    """How long *user*'s searches take beside the database: lognormal over users, one value a user."""
    return dials.median_ms / 1000 * math.exp(dials.spread * _NORMAL.inv_cdf(_place("waits", user, seed)))


def _place(what: str, user: str, seed: int) -> float:
    """Uniform over users, above 0 and below 1."""
    digest = hashlib.sha256(f"{what} {seed} {user}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") + 0.5) / 2**64
