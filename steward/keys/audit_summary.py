"""What people read of an audit: the verdict first, what is new next, then every check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steward.keys.audit_findings import Finding
from steward.keys.audit_report import AuditReport
from steward.verdicts import Verdict

_MARKS = {Verdict.VERIFIED: "✔", Verdict.REFUTED: "✘", Verdict.UNKNOWN: "?"}


def render_audit(report: AuditReport) -> str:
    """Markdown for one audit."""
    return "\n".join(
        [
            f"# Audit of {report.subject}, {report.period}",
            "",
            f"verdict: {report.verdict}",
            "",
            _first(report),
            "",
            "| check | verdict | findings |",
            "| --- | --- | ---: |",
            *(
                f"| {check.name} | {_MARKS[check.verdict]} {check.verdict} | {check.findings} |"
                for check in report.checks
                if check.verdict
            ),
            *(f"| {name} | not in the policy | |" for name in report.not_asked),
            "",
            *_section("New since the last audit", _only(report, new=True)),
            *_section("Known from the last audit", _only(report, new=False)),
            *(
                ["## Gone since the last audit", "", *(f"- `{each}`" for each in report.gone), ""]
                if report.gone
                else []
            ),
        ]
    )


def findings_table(report: AuditReport) -> list[dict[str, str]]:
    """One row a finding, for the table artifact."""
    return [
        {
            "finding": each.id,
            "verdict": each.verdict.value,
            "new": "new" if each.id in report.new else "",
            "seen": each.seen,
            "expected": each.expected,
            "hint": each.hint,
        }
        for each in report.findings
    ]


def _first(report: AuditReport) -> str:
    if not report.findings:
        return "Everything that was looked at is as the policy says."
    since = "since the last audit" if report.compared_with else "for there is no audit before this one"
    return f"{len(report.findings)} findings, {len(report.new)} of them new {since}; {len(report.gone)} are gone."


def _only(report: AuditReport, *, new: bool) -> Iterator[Finding]:
    return (each for each in report.findings if (each.id in report.new) is new)


def _section(title: str, found: Iterable[Finding]) -> list[str]:
    rows = [
        f"| {_MARKS[each.verdict]} | `{_cell(each.id)}` | {_cell(each.seen)} | {_cell(each.expected)} | {_cell(each.hint)} |"
        for each in found
    ]
    head = [f"## {title}", "", "| | finding | seen | expected | what to do |", "| --- | --- | --- | --- | --- |"]
    return [*head, *rows, ""] if rows else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
