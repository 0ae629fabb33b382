"""What a person reads before saying yes, and afterwards. Markdown, few lines whatever the number of indices."""

from __future__ import annotations

from collections.abc import Iterator

from steward.snapshots.recovery_plan import RecoveryPlan, about, size
from steward.snapshots.recovery_report import RecoveryReport, tenants_of
from steward.verdicts import Verdict

MOST_FINDINGS = 12
MOST_TENANTS = 30

_CLAIM = {
    Verdict.VERIFIED: "restored, and found to hold what its night found",
    Verdict.REFUTED: "restored in part, or found to hold something else: what is refuted is closed to writers",
    Verdict.UNKNOWN: "NOT proved: see below what was restored, and what of it is open to writers",
}


def render_plan(plan: RecoveryPlan, because: str) -> str:
    """What will be done if a person says yes."""
    seconds = plan.seconds
    rows = [
        ("copy", f"{plan.snapshot}, taken {plan.taken_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("its night", f"{plan.night}: {plan.standing}"),
        ("into", f"{plan.into}, {plan.names}"),
        ("tenants", f"{len(plan.tenants):,}"),
        ("indices", f"{len(plan.indices):,}; {len(plan.unproved):,} of them cannot be compared"),
        ("documents", f"{plan.documents:,}"),
        ("to fetch", size(plan.bytes)),
        ("because", because),
        *((stage, f"about {about(took)}") for stage, took in seconds.items()),
        ("all of it", f"about {about(sum(seconds.values()))}, from the answer on"),
    ]
    return "\n".join(
        [
            f"# To be restored from off site: {plan.cluster}",
            "",
            "Nothing has been touched. The run waits for an answer: *Resume*, in Prefect's UI.",
            "",
            *_table(rows),
            *(f"- passed over: {each}" for each in plan.passed_over),
            *(f"- deleted first, left closed by a recovery before: `{name}`" for name in sorted(plan.leftovers)),
        ]
    )


def render_recovery(report: RecoveryReport) -> str:
    """What came of it; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Restored from off site: {report.cluster}",
            "",
            f"verdict: {report.verdict}",
            "",
            f"Copy of **{report.snapshot}**, night {report.night}, {_CLAIM[report.verdict]}.",
            "",
            *_findings(report),
            *_figures(report),
            "",
            *_tenants(report),
        ]
    )


def _findings(report: RecoveryReport) -> Iterator[str]:
    if report.error:
        yield from (f"> {line}" for line in report.error.splitlines())
    yield from (f"- {finding}" for finding in report.findings[:MOST_FINDINGS])
    if report.findings_total > MOST_FINDINGS:
        yield f"- … and {report.findings_total - MOST_FINDINGS:,} more findings, in the evidence"
    if report.error or report.findings:
        yield ""


def _figures(report: RecoveryReport) -> Iterator[str]:
    rows = [
        ("into", f"{report.into}, {report.names}"),
        ("open to writers", f"{len(report.opened):,} of {len(report.indices):,} indices"),
        ("documents compared", f"{report.documents:,}"),
        ("its night was", report.standing),
        ("measured RTO", _seconds(report.rto_seconds)),
        ("waited for the answer", _seconds(report.waited_seconds)),
        ("approved by", report.approved_by or "nobody"),
        ("because", report.because),
        *((stage.name, _stage(stage.seconds, stage.bytes, stage.documents)) for stage in report.stages),
    ]
    yield from _table(rows)


def _tenants(report: RecoveryReport) -> Iterator[str]:
    verdicts = tenants_of(report.indices)
    worst = sorted(verdicts, key=lambda name: (verdicts[name], name))
    yield from ("| tenant | verdict | documents | indices |", "| --- | --- | ---: | --- |")
    for name in worst[:MOST_TENANTS]:
        own = [each for each in report.indices if each.tenant == name]
        called = ", ".join(f"`{each.target}`{'' if each.opened else ' (closed)'}" for each in own[:3])
        yield f"| {name} | {verdicts[name]} | {sum(each.documents for each in own):,} | {called} |"
    if len(worst) > MOST_TENANTS:
        yield f"| … {len(worst) - MOST_TENANTS:,} more | | | |"


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    yield from ("| | |", "| --- | --- |")
    yield from (f"| {name} | {value} |" for name, value in rows)


def _seconds(seconds: float | None) -> str:
    return "not measured" if seconds is None else f"{seconds:.1f} s ({about(seconds)})"


def _stage(seconds: float, count: int | None, documents: int | None) -> str:
    parts = [
        f"{seconds:.1f} s",
        size(count) if count is not None else "",
        f"{documents:,} documents" if documents else "",
    ]
    return ", ".join(part for part in parts if part)
