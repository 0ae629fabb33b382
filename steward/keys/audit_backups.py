"""Backups of the keyring, held against what is promised to whoever is erased, and to whoever must be restored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from steward.keys.audit_facts import BackupFacts
from steward.keys.audit_findings import Finding, age
from steward.keys.audit_policy import Backups, KeyPolicy

_HINT = "run backup-keyring, and read what its last run said (docs/runbooks/backup-keyring.md)"


_RESTORED = "was the keyring restored? python -m steward keyring erase-again, before any application starts"


def check_backups(policy: KeyPolicy, facts: BackupFacts, now: datetime) -> list[Finding]:
    """Findings on a retention that is longer than promised, on backups beyond it, and on there being no fresh one."""
    return list(_findings(policy.backups or Backups(retention_days=facts.retention_days), facts, now))


def _findings(rules: Backups, facts: BackupFacts, now: datetime) -> Iterator[Finding]:
    if facts.retention_days > rules.retention_days:
        yield Finding(
            check="backup-retention",
            subject="keyring",
            seen=f"keyring.backup_days = {facts.retention_days}",
            expected=f"at most {rules.retention_days} days",
            hint="what is erased stays in backups for that long: shorten it in the settings, or promise less",
        )
    if facts.oldest_at and now - facts.oldest_at > timedelta(days=rules.retention_days):
        yield Finding(
            check="backup-too-old",
            subject="keyring",
            seen=f"the oldest shows the keyring of {age(now - facts.oldest_at)} ago",
            expected=f"at most {rules.retention_days} days",
            hint=_HINT,
        )
    if facts.newest_at is None or now - facts.newest_at > timedelta(hours=rules.newest_hours):
        yield Finding(
            check="backup-missing",
            subject="keyring",
            seen=f"the newest VERIFIED one is {age(now - facts.newest_at)} old"
            if facts.newest_at
            else "no VERIFIED one",
            expected=f"one of the last {rules.newest_hours} hours: a generation exists nowhere else",
            hint=_HINT,
        )
    for tenant in facts.erasures_overdue:
        yield Finding(
            check="erasure-overdue",
            subject=tenant,
            seen="erased, and the day when no backup should have its keys is over",
            expected="a run of backup-keyring that says so",
            hint=_HINT,
        )
    for tenant in facts.erasures_undone:
        yield Finding(
            check="erasure-undone",
            subject=tenant,
            seen="in the list of erasures, and enrolled in the keyring",
            expected="erased there too",
            hint=_RESTORED,
        )
