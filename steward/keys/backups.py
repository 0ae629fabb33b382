"""Backups of the keyring: which there are, which go, and what is erased in all of them.

A backup's age is that of the moment it shows, by the keyring's clock, which its name carries: not when it was stored, for
a late call stores what is old already.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.verdicts import Verdict

PREFIX = "keyring/"
#: What a daily run would leave to become too old before the next one has to go already, and that one may be half a day
#: late.
AHEAD = dt.timedelta(hours=36)

_FORM = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(re.escape(PREFIX) + r"(?P<at>\d{8}T\d{6}\.\d{6}Z)-")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredVersion(_Frozen):
    """One version of an object in the bucket for backups."""

    key: str
    version_id: str
    stored_at: AwareDatetime
    is_marker: bool = False
    """A delete marker: it has no content, and what it hides is there."""

    @property
    def taken_at(self) -> dt.datetime:
        """The moment it shows; of a strange object, when it was stored."""
        return moment_of(self.key) or self.stored_at


class Backup(_Frozen):
    """A backup, as Steward's register has it."""

    key: str
    taken_at: AwareDatetime
    epoch: int
    sha256: str
    bytes: int
    rows: dict[str, int]
    erased: tuple[str, ...] = ()
    """Tenants whose keys were erased already when it was taken."""
    verdict: Verdict | None = None


class Pruned(_Frozen):
    """What was deleted, and what the listing showed afterwards."""

    deleted: tuple[StoredVersion, ...] = ()
    remaining: int = 0
    oldest: AwareDatetime | None = None
    overdue: tuple[str, ...] = ()
    """Names of what should not be there any more."""


def key_of(taken_at: dt.datetime, token: int, tries: int) -> str:
    """The object's name. The token of the attempt that took it, so that no two attempts share one."""
    return f"{PREFIX}{taken_at.astimezone(dt.UTC).strftime(_FORM)}-{token}-{tries}.backup"


def moment_of(key: str) -> dt.datetime | None:
    """The moment in a name that `key_of` made; None: it is not one of ours."""
    named = _NAME.match(key)
    try:
        return dt.datetime.strptime(named["at"], _FORM).replace(tzinfo=dt.UTC) if named else None
    except ValueError:
        return None


def plan_pruning(
    versions: Iterable[StoredVersion], now: dt.datetime, days: int, keep: Collection[str]
) -> list[StoredVersion]:
    """Versions that would be older than *days* before the run after the next; never one of an object in *keep*."""
    cut = now - dt.timedelta(days=days) + AHEAD
    return [each for each in versions if each.taken_at < cut and each.key not in keep]


def overdue(versions: Iterable[StoredVersion], now: dt.datetime, days: int) -> list[StoredVersion]:
    """Versions that are older than *days*: the promise is broken while they are there."""
    return [each for each in versions if each.taken_at < now - dt.timedelta(days=days)]


def oldest(versions: Iterable[StoredVersion]) -> dt.datetime | None:
    """The earliest moment that any of them shows."""
    return min((each.taken_at for each in versions if not each.is_marker), default=None)


def completed(
    tenants: Iterable[str], versions: Sequence[StoredVersion], register: Mapping[str, Backup]
) -> tuple[str, ...]:
    """Those of *tenants* whose keys are in none of *versions*, and in nothing of *register*, which a late call may store.

    What a backup holds is decided by what was erased when it was taken, not by times or epochs: a keyring that was
    restored counts these anew. One that the register does not know may hold anybody.
    """
    if any(each.key not in register for each in versions if not each.is_marker):
        return ()
    held = [set(backup.erased) for backup in register.values()]
    return tuple(tenant for tenant in tenants if all(tenant in erased for erased in held))
