"""The keyring's backups that are there, and whether all that was erased is gone: for an audit, read only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from steward.clients import erasures
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.keyring_audit import enrolled_among
from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.keys.audit_facts import BackupFacts
from steward.keys.backups import oldest
from steward.keys.erasure import Erasure
from steward.settings import Settings
from steward.verdicts import Verdict

#: It is the next daily backup that finds an erasure complete.
_NEXT_RUN = timedelta(hours=26)


def read_backups(settings: Settings, now: datetime) -> BackupFacts:
    """What bucket, register and list of erasures say together.

    Raises BackupPlaceUnnamed, and what object store and databases raise; transient where they are away.
    """
    if settings.keyring is None:
        raise BadInput("the settings name no keyring", hint="add [keyring]; see docs/keyring.md")
    with open_backup_bucket(settings) as bucket:
        versions = bucket.versions()
    there = {each.key for each in versions if not each.is_marker}
    with connect(settings) as db:
        verified = [each for each in erasures.backups(db) if each.verdict is Verdict.VERIFIED and each.key in there]
        erased = [each for each in erasures.erasures(db) if each.erased_at]
    return BackupFacts(
        retention_days=settings.keyring.backup_days,
        oldest_at=oldest(versions),
        newest_at=max((each.taken_at for each in verified), default=None),
        backups=len(there),
        erasures_overdue=tuple(each.tenant for each in _overdue(erased, now)),
        erasures_undone=enrolled_among(settings.keyring, settings.vault, [each.tenant for each in erased]),
    )


def _overdue(erased: Iterable[Erasure], now: datetime) -> Iterable[Erasure]:
    due = now - _NEXT_RUN
    return (each for each in erased if each.complete_after and each.complete_after < due and not each.completed_at)
