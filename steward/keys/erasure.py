"""Erasing a tenant: what is asked, what is left, and when no backup has its keys any more."""

from __future__ import annotations

import datetime as dt

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.keys.erasure_errors import NotConfirmed, NotErasable, ReasonMissing
from steward.keys.golden import GOLDEN_TENANT


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Erasure(_Frozen):
    """One line of Steward's list."""

    tenant: str
    reason: str
    asked_at: AwareDatetime
    erased_at: AwareDatetime | None = None
    complete_after: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None


class Remains(_Frozen):
    """What the keyring has of a tenant, at one moment of its own clock."""

    seen_at: AwareDatetime
    erased_at: AwareDatetime | None
    wraps: int
    states: dict[str, int]
    """Generations by state."""
    key_ids: tuple[int, ...]
    """Of all its generations, whatever their state."""


class Erased(_Frozen):
    """The keys are gone from the keyring. Every later epoch shows that."""

    epoch: int
    erased_at: AwareDatetime
    complete_after: AwareDatetime
    already: bool = False
    """They were gone before: nothing was changed now."""


def check_request(tenant: str, confirm: str, reason: str) -> None:
    """NotConfirmed, ReasonMissing, NotErasable: before anything is touched."""
    if confirm != tenant:
        raise NotConfirmed(
            f"the tenant is {tenant[:60]!r}, and what was typed to confirm it is {confirm[:60]!r}",
            hint="type the tenant's name once more, exactly: what is erased does not come back",
        )
    if not reason.strip():
        raise ReasonMissing(
            f"no reason is given for erasing {tenant[:60]!r}",
            hint="name the ticket or the request: it is all that the evidence will say about why",
        )
    if tenant == GOLDEN_TENANT:
        raise NotErasable(
            f"tenant {GOLDEN_TENANT!r} is the platform's own: every proof of the keys is made by its rows",
            hint="name the tenant that asked to be erased",
        )


def complete_after(erased_at: dt.datetime, retention_days: int) -> dt.datetime:
    """From when no backup of the keyring has the keys: the last that can have them was taken when they went."""
    return erased_at + dt.timedelta(days=retention_days)
