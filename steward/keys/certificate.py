"""The certificate of a rotation: what a person reads first. Markdown, some forty lines whatever the number of tenants."""

from __future__ import annotations

from collections.abc import Iterator

from steward.keys.report import RotationReport
from steward.verdicts import Verdict

MOST_FINDINGS = 6

_CLAIM = {
    Verdict.VERIFIED: "Every row was decrypted under its tenant's new key, and nothing is under the old ones",
    Verdict.REFUTED: "Something is NOT as it should be; where it is, old keys were kept and nothing is lost",
    Verdict.UNKNOWN: "NOT proved: the rotation stopped on its way. Old keys are read on; nothing is lost",
}


def render_certificate(report: RotationReport) -> str:
    """Certificate of *report*; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Key rotation certificate: {report.subject}, {report.period}",
            "",
            f"verdict: {report.verdict}",
            "",
            f"Reason: {report.reason}{f' ({report.because})' if report.because else ''}. {_CLAIM[report.verdict]}.",
            "",
            *_findings(report),
            *_table("figure", "value", _figures(report)),
            "",
            *_sweeps(report),
            *_table("stage", "seconds", ((stage.name, f"{stage.seconds:,.1f}") for stage in report.stages)),
        ]
    )


def findings_table(report: RotationReport) -> list[dict[str, str]]:
    """One row a finding."""
    return [{"finding": finding} for finding in report.findings]


def _findings(report: RotationReport) -> Iterator[str]:
    findings = report.findings
    yield from (f"- {' '.join(finding.splitlines())}" for finding in findings[:MOST_FINDINGS])
    if len(findings) > MOST_FINDINGS:
        yield f"- … and {len(findings) - MOST_FINDINGS:,} more findings, in the evidence"
    if findings:
        yield ""


def _figures(report: RotationReport) -> Iterator[tuple[str, str]]:
    proof, retirement = report.proof, report.retirement
    yield "tenants", f"{report.tenants:,}"
    yield (
        "the vault's key",
        f"{report.kek or 'not reached'}{' (not rotated)' if report.kek == report.kek_before else ''}",
    )
    if report.kek != report.kek_before:
        yield "the vault's key before", report.kek_before
    yield "keys wrapped under it as well", f"{report.rewrapped:,}"
    yield "new generations", f"{report.generations:,}"
    yield "rows re-encrypted", f"{sum(sweep.replaced for sweep in report.sweeps):,}"
    if proof:
        yield "rows proved", f"{report.rows:,} ({sum(table.values for table in proof.tables):,} values, each decrypted)"
        yield "look-ups equal to full scans", _lookups(report)
        yield "golden rows", f"{proof.golden.still:,} as they were" if not proof.golden.faults else "see the findings"
        yield (
            "writes during the rotation",
            f"{proof.golden.writes:,} acknowledged, all there" if not proof.golden.faults else "see the findings",
        )
        yield "damaged values", f"{sum(proof.damaged.values()):,}"
        if erased := sum(table.erased for table in proof.tables):
            yield "rows of erased tenants", f"{erased:,}, which nobody can decrypt"
    yield "old keys disabled", f"{len(retirement.retired):,}"
    yield "old keys kept", f"{len(retirement.kept):,}"
    yield "keys destroyed after their grace", f"{len(retirement.destroyed):,}"
    yield "versions of the vault's key disabled", ", ".join(retirement.disabled_keks) or "none"
    yield "older ones still needed by disabled keys", ", ".join(retirement.waiting_keks) or "none"


def _lookups(report: RotationReport) -> str:
    if report.proof is None:
        return "none"
    wrong = sum(report.proof.wrong_lookups.values())
    total = sum(table.lookups for table in report.proof.tables)
    return f"{total - wrong:,} of {total:,}"


def _sweeps(report: RotationReport) -> Iterator[str]:
    if not report.sweeps:
        return
    yield "| application | rows | rows/s | passes | overtaken | probe before, ms | probe during, ms | resting, s |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for each in report.sweeps:
        yield (
            f"| {each.application} | {each.replaced:,} | {each.rows_per_second:,.0f} | {each.passes} | {each.overtaken:,} "
            f"| {each.quiet_milliseconds:.1f} | {each.felt_milliseconds:.1f} | {each.resting_seconds:,.1f} |"
        )
    yield ""


def _table(name: str, value: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield from (f"| {name} | {value} |", "| --- | --- |")
    yield from (f"| {key} | {told} |" for key, told in rows)
