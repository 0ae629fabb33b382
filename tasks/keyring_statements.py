"""What a backup of the keyring and the erasure of a tenant claim about themselves."""

from __future__ import annotations

import datetime as dt
from typing import Any

from steward.clients.key_calls import summary
from steward.clients.postgres import connect
from steward.evidence.provenance import CodeVersion, code_version, host_class
from steward.evidence.statements import Artifact, Statement, artifact_of
from steward.keys.backups_report import BackupReport, MadeBy
from steward.keys.erasure_proof import Tried
from steward.keys.erasure_report import ErasureReport
from steward.settings import Settings

BACKUP, ERASURE = "backup-keyring", "shred-tenant"
BACKUP_CLAIM = (
    "the backup comes back as the keyring was at its moment, row by row, and the vault unwraps its keys; "
    "no backup is older than the retention"
)
ERASURE_CLAIM = "the keyring has no key of the tenant, none of its values decrypts with any key that is left, and those of others do"


def made_by(settings: Settings, operation_id: int) -> MadeBy:
    """Of the run at hand, until now."""
    with connect(settings) as db:
        calls: Any = dict(summary(db, operation_id))
    return MadeBy(code=code_version().model_dump(), host=host_class(), key_calls=calls)


def backup_statement(report: BackupReport) -> Statement:
    """Of one run of backup-keyring."""
    retention = artifact_of("retention", {"days": report.retention_days})
    backup = report.backup
    return Statement(
        operation=BACKUP,
        subject="keyring",
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=BACKUP_CLAIM,
        artifacts=(Artifact(backup.key, {"sha256": backup.sha256}) if backup else retention,),
        inputs=(retention,),
        figures={
            "retention_days": report.retention_days,
            "taken_at": _moment(backup.taken_at) if backup else None,
            "epoch": backup.epoch if backup else None,
            "bytes": backup.bytes if backup else None,
            "rows": dict(backup.rows) if backup else None,
            "keys_living": report.checked.living,
            "keys_unwrapped": report.checked.unwrapped,
            "versions_deleted": [f"{each.key} {each.version_id}" for each in report.pruned.deleted],
            "versions_left": report.pruned.remaining,
            "oldest_left": _moment(report.pruned.oldest),
            "erasures_complete": list(report.erasures.completed),
            "erasures_outstanding": {each.tenant: _moment(each.complete_after) for each in report.erasures.outstanding},
            "key_calls": dict(report.made_by.key_calls),
        },
        findings=tuple(filter(None, (*report.findings, report.error))),
        started=report.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.made_by.code),
        host=report.made_by.host,
    )


def erasure_statement(report: ErasureReport) -> Statement:
    """Of one run of shred-tenant. The reason is in it word for word: no personal data belongs there."""
    asked = artifact_of("request", {"tenant": report.tenant, "reason": report.reason})
    erased, proof = report.erased, report.proof
    return Statement(
        operation=ERASURE,
        subject=report.tenant,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=ERASURE_CLAIM,
        artifacts=(asked,),
        figures={
            "reason": report.reason,
            "erased_at": _moment(erased.erased_at) if erased else None,
            "already_erased": erased.already if erased else None,
            "epoch": erased.epoch if erased else None,
            "backup_retention_days": report.retention_days,
            "complete_after": _moment(erased.complete_after) if erased else None,
            "readers_lagging": len(report.lagging),
            "tenant_before": _tried(report.before.tenants_own),
            "others_before": _tried(report.before.others),
            "wraps_left": proof.remains.wraps if proof else None,
            "tenant_after": [each.model_dump(mode="json") for each in proof.shredded] if proof else None,
            "others_after": _tried(proof.others) if proof else None,
            "key_calls": dict(report.made_by.key_calls),
        },
        findings=(
            *(each.model_dump(mode="json") for each in report.findings),
            *([report.error] if report.error else []),
        ),
        started=report.started_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.made_by.code),
        host=report.made_by.host,
    )


def _tried(samples: tuple[Tried, ...]) -> Any:
    return [each.model_dump(mode="json", exclude={"failed"}) for each in samples]


def _moment(at: dt.datetime | None) -> str | None:
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
