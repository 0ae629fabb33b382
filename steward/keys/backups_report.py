"""What came of one backup: its verdict, and what people read of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from steward.keys.backups import Backup, Pruned
from steward.verdicts import NotVerified, Verdict, combine


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MadeBy(_Frozen):
    """What stands in the statement beside the findings, kept with them: it is another a moment later."""

    code: dict[str, str | bool | None] = {}
    host: str = "unknown"
    key_calls: dict[str, JsonValue] = {}
    """What the journal has of the run's calls of the vault."""


class BackupBegun(_Frozen):
    """What a run starts from."""

    started_at: AwareDatetime
    retention_days: int


class BackupChecked(_Frozen):
    """What reading the object back came to."""

    living: int = 0
    """Generations of keys that it holds, and that are not destroyed."""
    unwrapped: int = 0
    """Of these, the ones that the vault was asked to unwrap, and whose owner was right."""
    findings: tuple[str, ...] = ()


class Outstanding(_Frozen):
    """An erased tenant that a backup still has, and until when at most."""

    tenant: str
    complete_after: AwareDatetime | None


class Erasures(_Frozen):
    """What the pruning means for those who were erased."""

    completed: tuple[str, ...] = ()
    outstanding: tuple[Outstanding, ...] = ()


class BackupFacts(_Frozen):
    """What a run came to before it is judged; what it did not come to is absent."""

    backup: Backup | None = None
    checked: BackupChecked = BackupChecked()
    pruned: Pruned = Pruned()
    erasures: Erasures = Erasures()
    error: str | None = None


class BackupReport(_Frozen):
    """The run's result."""

    period: str
    attempt: int
    verdict: Verdict
    backup: Backup | None = None
    checked: BackupChecked = BackupChecked()
    pruned: Pruned = Pruned()
    erasures: Erasures = Erasures()
    findings: tuple[str, ...] = ()
    error: str | None = None
    retention_days: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    made_by: MadeBy = MadeBy()


class BackupNotVerified(NotVerified):
    """The run ended REFUTED or UNKNOWN: there may be a backup, and no proof that it can be restored."""

    def __init__(self, report: BackupReport) -> None:
        first = report.error or next(iter(report.findings), "nothing was compared")
        super().__init__(
            f"the keyring's backup of {report.period} is {report.verdict}: {first.splitlines()[0]}",
            hint="read the run's artifact keyring-backup and docs/runbooks/backup-keyring.md",
            verdict=report.verdict,
            report=report,
        )


def judge(checked: BackupChecked) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on what was read back, with its reasons. A keyring without keys proves nothing of its backup."""
    if checked.findings:
        return Verdict.REFUTED, checked.findings
    if not checked.living:
        return Verdict.UNKNOWN, ("the keyring holds no living key: was it emptied, or is it the wrong database?",)
    if not checked.unwrapped:
        return Verdict.UNKNOWN, ("the vault unwrapped none of the keys in it",)
    return Verdict.VERIFIED, ()


def assess_backup(facts: BackupFacts, retention_days: int) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on the run: on the backup itself, and on the promise that the listing after the pruning shows."""
    if facts.backup is None:
        return Verdict.UNKNOWN, ()
    verdict, findings = judge(facts.checked)
    if facts.error and verdict is Verdict.UNKNOWN:
        # What stopped the run says more than what it therefore did not look at.
        findings = ()
    broken = tuple(f"{key} is older than {retention_days} days, and is still there" for key in facts.pruned.overdue)
    parts = [verdict, *[Verdict.REFUTED] * bool(broken), *[Verdict.UNKNOWN] * bool(facts.error)]
    return combine(parts), (*findings, *broken)


def render_backup(report: BackupReport) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Backup of the keyring: {report.period}",
            "",
            f"verdict: {report.verdict}",
            "",
            *(f"> {line}" for line in (report.error or "").splitlines()),
            *(f"- {finding}" for finding in report.findings),
            "",
            "| figure | value |",
            "| --- | --- |",
            *(f"| {name} | {value} |" for name, value in _figures(report)),
            "",
            *_erasures(report.erasures),
        ]
    )


def _figures(report: BackupReport) -> Iterator[tuple[str, str]]:
    backup, pruned = report.backup, report.pruned
    yield "object", f"`{backup.key}`" if backup else "none"
    yield "shows the keyring at", _moment(backup.taken_at) if backup else "—"
    yield "size", f"{backup.bytes:,} bytes" if backup else "—"
    yield "rows", ", ".join(f"{count:,} {name}" for name, count in backup.rows.items()) if backup else "—"
    yield "keys unwrapped by the vault", f"{report.checked.unwrapped:,} of {report.checked.living:,} living"
    yield "retention", f"{report.retention_days} days"
    yield "versions deleted", f"{len(pruned.deleted):,}"
    yield "versions left", f"{pruned.remaining:,}, the oldest of {_moment(pruned.oldest)}"


def _erasures(erasures: Erasures) -> Sequence[str]:
    lines = [f"- the erasure of `{tenant}` is complete: no backup has its keys" for tenant in erasures.completed]
    lines += [
        f"- `{each.tenant}` is erased, and still in backups until {_moment(each.complete_after)}"
        for each in erasures.outstanding
    ]
    return ["## Erasures", "", *lines] if lines else []


def _moment(at: dt.datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "—"
