"""Why a tenant's keys could not be loaded, in values: what each who asks is told, and when it is tried again.

An exception itself is not kept: its traceback holds the frames it went through, and everybody who waits would add to it.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, replace

from steward.errors import StewardError, is_transient
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.errors import (
    KeyringTampered,
    KeysNotInstalled,
    KeysRefused,
    KeysUnavailable,
    TenantErased,
    TenantUnknown,
)

_AS_THEY_ARE = (TenantUnknown, TenantErased, KeyringTampered, KeysNotInstalled)
#: No server's wish for a pause is taken further: the vault's own limits are counted over ten seconds.
_LONGEST_WISH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """One tenant's failed loads, since the last that succeeded."""

    tenant: str
    kind: type[StewardError]
    message: str
    hint: str
    since: float
    """By the cache's clock, as `again_at`."""
    again_at: float
    """Until then nobody asks again."""
    count: int = 1
    wished_seconds: float = 0.0
    """The pause that the server asked for."""

    @property
    def transient(self) -> bool:
        """Waiting may cure it."""
        return self.kind is KeysUnavailable

    @property
    def gone(self) -> bool:
        """The keyring has no keys of this tenant (any more)."""
        return self.kind in {TenantUnknown, TenantErased}

    def error(self, now: float) -> StewardError:
        """A new exception for one who asks."""
        if self.kind in _AS_THEY_ARE:
            return self.kind(self.message, hint=self.hint)
        seconds = max(now - self.since, 0.0)
        began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
        told = self.kind(
            f"the keys of tenant {self.tenant!r} cannot be loaded since {began:%Y-%m-%dT%H:%M:%SZ} "
            f"({seconds:.0f} s, failed loads: {self.count}): {self.message}",
            hint=self.hint,
        )
        if isinstance(told, KeysUnavailable):
            told.retry_after_seconds = max(self.again_at - now, 0.0)
        return told

    def as_refusal_of(self, before: Trouble | None) -> Trouble:
        """A refusal stands until a load succeeds: that the vault is away afterwards gives no right back."""
        if before is None or before.transient or not self.transient:
            return self
        return replace(before, again_at=self.again_at, count=self.count, wished_seconds=self.wished_seconds)


def met(tenant: str, error: Exception, now: float, before: Trouble | None, pause_seconds: float) -> Trouble:
    """The trouble that *error* is, after that which was there *before*, tried again after about *pause_seconds*."""
    wished = min(float(getattr(error, "retry_after_seconds", None) or 0.0), _LONGEST_WISH_SECONDS)
    # Spread upwards only: never sooner than the server said.
    pause = max(pause_seconds, wished) * random.uniform(1.0, 1.25)  # noqa: S311 - spreads load, hides nothing
    return Trouble(
        tenant,
        _kind(error),
        _message(error),
        error.hint if isinstance(error, StewardError) else "this is a fault of the program: report it",
        since=now if before is None else before.since,
        again_at=now + pause,
        count=1 if before is None else before.count + 1,
        wished_seconds=wished,
    )


def pause_seconds(policy: CachePolicy, before: Trouble | None, *, served: bool) -> float:
    """Longer at each failure while the tenant is *served* from memory; short while requests fail for want of keys."""
    if before is None or not served:
        return policy.retry_seconds
    # Beyond some doublings the longest pause holds anyway; the number must not grow without end.
    return min(policy.retry_seconds * 2 ** min(before.count, 16), policy.most_retry_seconds)


def _kind(error: Exception) -> type[StewardError]:
    if is_transient(error):
        return KeysUnavailable
    return next((kind for kind in _AS_THEY_ARE if isinstance(error, kind)), KeysRefused)


def _message(error: Exception) -> str:
    # What an unforeseen exception says is not told: nobody knows what it quotes.
    return error.message if isinstance(error, StewardError) else f"an unforeseen {type(error).__name__}"
