"""A release candidate as people see it in Prefect."""

from __future__ import annotations

from collections.abc import Iterator

from steward.pipeline.report import CandidateReport, StageRun
from steward.pipeline.request import seconds_between
from steward.verdicts import Verdict

_MOST_LINES = 30


def render_candidate(report: CandidateReport) -> str:
    """Markdown: the verdict, the gates, what was found at each, then of each that is not VERIFIED what speaks against it."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: CandidateReport) -> Iterator[str]:
    candidate = report.candidate
    yield f"# Release {candidate.release}: {report.verdict}"
    yield ""
    yield _cell(f"Commit {candidate.commit} of {candidate.request.repository} {candidate.request.ref}".strip())
    yield ""
    yield (
        f"Compared with {candidate.certified.release}, the last certified release."
        if candidate.certified
        else ("There is no certified release to compare with.")
    )
    yield ""
    if report.verdict is not Verdict.VERIFIED:
        yield "Nothing was handed over, and nobody was told."
        yield ""
    yield "| Gate | Verdict | Seconds |"
    yield "| --- | --- | ---: |"
    for stage in report.stages:
        yield f"| {stage.gate} | {stage.found.verdict} | {seconds_between(stage.started, stage.finished):.1f} |"
    yield ""
    # Not in the table: Prefect shows its cells on one line each, and hides what is longer.
    yield from (f"- **{_cell(stage.gate)}**: {_cell(stage.found.summary)}" for stage in report.stages)
    if report.artifact:
        yield ""
        yield f"Artifact: `{_code(report.artifact.file)}`, {report.artifact.bytes:,} bytes, SHA-256 `{report.artifact.sha256}`"
    for stage in report.stages:
        if stage.found.verdict is not Verdict.VERIFIED:
            yield from _against(stage)


def _against(stage: StageRun) -> Iterator[str]:
    yield ""
    yield f"## {stage.gate}"
    yield ""
    yield from (f"- {_cell(finding)}" for finding in stage.found.findings)
    if stage.found.tail.strip():
        yield ""
        # Right below a list, what is indented would be part of its last item, and read as Markdown.
        yield "What its program said last:"
        yield ""
        # Indented: whatever it says ends no fence of ours.
        yield from (f"    {line}" for line in stage.found.tail.splitlines()[-_MOST_LINES:])


def _cell(text: str) -> str:
    """Of a table, or a line: what a repository says is text, and neither link, nor picture, nor another column."""
    for sign in "\\`*_[]<>|!#":
        text = text.replace(sign, f"\\{sign}")
    return text


def _code(text: str) -> str:
    return text.replace("`", "'")
