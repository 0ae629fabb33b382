"""The certificate: what a person reads first. Markdown, at most 37 lines whatever the number of tenants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.snapshots.report import SnapshotReport
from steward.verdicts import Verdict

MOST_FINDINGS = 5
"""Lines about what was wrong; the evidence has all."""

_CLAIM = {
    Verdict.VERIFIED: "restored elsewhere and found equal to its source at the snapshot's moment",
    Verdict.REFUTED: "restored elsewhere and found WRONG: do not rely on this snapshot",
    Verdict.UNKNOWN: "NOT proved: what this snapshot holds could not be established",
}


def render_certificate(report: SnapshotReport) -> str:
    """Certificate of *report*; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Restore certificate: {report.snapshot}",
            f"verdict: {report.verdict}",
            "",
            f"Snapshot of cluster **{report.cluster}**, night {report.night} (attempt {report.attempt}), {_CLAIM[report.verdict]}.",
            "",
            *_findings(report),
            *_figures(report),
            "",
            *_stages(report),
        ]
    )


def _findings(report: SnapshotReport) -> Iterator[str]:
    told = (report.error or "").splitlines()[:MOST_FINDINGS]
    yield from (f"> {line}" for line in told)
    shown = report.findings[: MOST_FINDINGS - len(told)]
    yield from (f"- {str(finding).splitlines()[0]}" for finding in shown)
    if report.findings_total > len(shown):
        yield f"- … and {report.findings_total - len(shown):,} more findings, in the evidence"
    if told or report.findings_total:
        yield ""


def _figures(report: SnapshotReport) -> Iterator[str]:
    compared = [tenant for tenant in report.tenants if tenant.verdict]
    rows = [
        ("snapshot begun", f"{report.taken_at:%Y-%m-%d %H:%M:%S} UTC" if report.taken_at else "never"),
        ("compared", f"{len(compared)} of {len(report.tenants)} tenants, {report.documents:,} documents"),
        ("written in the window", _attributed(report.attributed)),
        ("undecided", f"{report.undecided:,} documents ({report.undecided_ppm:g} per million)"),
        ("golden queries", _golden(report)),
        ("oldest proof", _age(report.oldest_proof_nights)),
        ("blobs", report.blobs.line() if report.blobs else "not checked"),
        ("off-site copy", report.copied.line() if report.copied else "none made"),
        ("proved from the copy", report.copy_proved.line() if report.copy_proved else "nothing"),
        (
            "measured RPO, RTO",
            f"{_seconds(report.rpo_seconds, 'none before it')}, {_seconds(report.rto_seconds, 'not measured')}",
        ),
        ("expired", ", ".join(report.expired) or "nothing"),
    ]
    yield from ("| figure | value |", "| --- | --- |")
    yield from (f"| {name} | {value} |" for name, value in rows)


def _stages(report: SnapshotReport) -> Iterator[str]:
    yield from ("| stage | seconds | bytes | documents |", "| --- | ---: | ---: | ---: |")
    for stage in report.stages:
        yield f"| {stage.name} | {stage.seconds:.1f} | {_count(stage.bytes)} | {_count(stage.documents)} |"


def tenant_table(report: SnapshotReport) -> list[dict[str, str | int]]:
    """One row a tenant, the worst first: verdict, documents, proof age, digest."""
    rank = {Verdict.REFUTED: 0, Verdict.UNKNOWN: 1, None: 2, Verdict.VERIFIED: 3}
    return [
        {
            "tenant": tenant.tenant,
            "verdict": tenant.verdict or "not tonight",
            "documents": tenant.documents,
            "proof age": _age(tenant.proof_age_nights),
            "content digest": tenant.digest,
        }
        for tenant in sorted(report.tenants, key=lambda tenant: (rank[tenant.verdict], tenant.tenant))
    ]


def _attributed(counts: dict[str, int]) -> str:
    named = [f"{count:,} {cause}" for cause, count in sorted(counts.items()) if count]
    return ", ".join(named) or "nothing"


def _golden(report: SnapshotReport) -> str:
    return ", ".join(f"{name}: {count:,} hits" for name, count in report.golden_matches.items()) or "none ran"


def _age(nights: int | None) -> str:
    if nights is None:
        return "never proved"
    return "tonight" if nights == 0 else f"{nights} night{'s' if nights > 1 else ''} ago"


def _seconds(seconds: float | None, otherwise: str) -> str:
    if seconds is None:
        return otherwise
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{seconds:.1f} s"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def render_history(reports: Sequence[SnapshotReport]) -> str:
    """Past nights, newest first, as a markdown table."""
    lines = ["| night | verdict | documents | seconds | undecided ppm |", "| --- | --- | ---: | ---: | ---: |"]
    lines += [
        f"| {r.night} | {r.verdict} | {r.documents:,} | {(r.ended_at - r.started_at).total_seconds():.0f}"
        f" | {r.undecided_ppm:g} |"
        for r in sorted(reports, key=lambda r: (r.night, r.attempt), reverse=True)
    ]
    return "\n".join(lines)
