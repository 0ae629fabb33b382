"""Back up the keyring, prove that the backup can be used again, and delete what the retention promises to be gone.

Failure semantics: a backup that comes back otherwise, a key in it that does not open, or one that is older than the
retention and still there ends the run Failed, REFUTED; a server that stayed away ends it Failed, UNKNOWN. Either way the
evidence says so, and nothing is pruned unless this very backup is VERIFIED: so the newest good one is never deleted.
Killed anywhere, a new run takes it up at the step in flight.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from steward.keys.backups_report import BackupFacts, BackupNotVerified, BackupReport
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.keyring_backups import (
    begin_backup,
    conclude_backup,
    keep_backup_verdict,
    prune_backups,
    record_backup_evidence,
    settle_erasures,
    show_backup,
    take_backup,
    verify_backup,
)


class BackupRequest(BaseModel):
    """Which backup: the day's own, or one beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Backup of the keyring")

    label: str = Field(
        default="",
        title="Label",
        description="Empty: the day's own. Else a backup beside it, e.g. before-upgrade.",
        pattern="^[a-z0-9-]{0,40}$",
    )


# One frozen request: the form's defaults.
TODAY = BackupRequest()


def _period(request: BackupRequest) -> str:
    # A run that starts late keeps its day.
    day = flow_run.get_scheduled_start_time().astimezone(UTC).date()
    return f"{day}/{request.label}" if request.label else str(day)


@flow(name="backup-keyring", flow_run_name="backup keyring {request.label}", persist_result=False)
@durable(subject="keyring", period=_period, resource="keyring/backups", terms=Terms(deadline_seconds=3600))
def backup_keyring(request: BackupRequest = TODAY) -> BackupReport:
    """Take a backup, read it back, delete the old ones, and say whose erasure is complete by that."""
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_backup) or _report()
    record_backup_evidence(report)
    show_backup(report)
    if report.verdict is not Verdict.VERIFIED:
        raise BackupNotVerified(report)
    return report


def _report() -> BackupReport:
    begun = begin_backup()
    done: dict[str, Any] = {}
    try:
        done["backup"] = backup = take_backup()
        done["checked"] = checked = verify_backup(backup)
        if keep_backup_verdict(backup, checked) is Verdict.VERIFIED:
            # Only now, so that a good backup always outlives a bad one.
            done["pruned"] = prune_backups(backup)
            done["erasures"] = settle_erasures(backup)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the run has a verdict, and the evidence says why
        get_run_logger().exception("the backup was not finished")
        done["error"] = f"{type(error).__name__}: {error}"
    return conclude_backup(begun, BackupFacts(**done))
