"""A rollout in words, for people: what came of it, step by step, and how the two variants compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steward.rollout.analysis import StepAnalysis
from steward.rollout.intervals import Comparison
from steward.rollout.report import RolloutReport, StepOutcome


def render_rollout(report: RolloutReport) -> str:
    """Markdown: the outcome first, then why, then the figures."""
    return "\n".join(_lines(report))


def _lines(report: RolloutReport) -> Iterator[str]:
    request = report.request
    yield f"# {request.release} in {request.environment}: {_ended(report)}"
    yield ""
    yield f"**{report.verdict}**. Flag `{request.flag}`, rollout {report.rollout}, on {report.colour}; before it "
    yield f"{report.previous_release or 'an unnamed release'} on {report.previous_colour}."
    yield from _when(report)
    yield from _listed(report.findings)
    yield from ("", "## Steps", "", "| exposed | came to | looks | took | why |", "| --- | --- | --- | --- | --- |")
    yield from (_step(each) for each in report.ending.steps)
    if report.analysis:
        yield from (
            "",
            "## Variants beside each other",
            "",
            "Intervals hold at 95 %, all together, whenever one looks.",
            "",
        )
        yield "| exposed | metric | variant | users | met it | the exposed against the others |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for analysed in report.analysis:
            yield from _compared(analysed, report.preconditions.variant)
    yield from ("", "## Before it began", "")
    yield f"- {report.preconditions.agreement}"
    yield f"- slow is slower than {report.preconditions.slow_ms:.0f} ms: the p95 before anybody was exposed"
    yield from (f"- gate {each.gate}: {each.verdict}, {each.says}" for each in report.preconditions.gates.findings)
    if not report.preconditions.gates.findings:
        yield "- no quality gate was asked for"
    yield f"- bad is {report.request.plan.bad_ratio:g} times as many as among the others, unless a metric says otherwise"


def _ended(report: RolloutReport) -> str:
    if report.certified:
        return "certified, everybody has it"
    seconds = report.withdrawn_seconds
    return "rolled back" + (f" in {seconds:.1f} s" if seconds is not None else "")


def _when(report: RolloutReport) -> Iterator[str]:
    """A line each, UTC."""
    told = (
        ("began", report.begun_at),
        ("first users", report.exposed_at),
        (f"taken back by {report.withdrawn_by}", report.withdrawn_at),
        ("certified" if report.certified else "traffic back", report.closed_at),
    )
    yield ""
    yield ", ".join(f"{what} {at:%Y-%m-%d %H:%M:%S}" for what, at in told if at) + " UTC."
    if report.request.because:
        yield f"Because: {_cell(report.request.because)}"


def _listed(findings: Iterable[str]) -> Iterator[str]:
    found = list(findings)
    if found:
        yield ""
        yield from (f"- {_cell(each)}" for each in found)


def _step(outcome: StepOutcome) -> str:
    name = "bake" if outcome.baking else f"{outcome.exposure} %"
    came = "proved" if outcome.proved else "passed unproved" if outcome.passed else f"stopped: {outcome.cause}"
    took = (outcome.ended_at - outcome.begun_at).total_seconds()
    return (
        f"| {name} | {came} | {outcome.looks} | {took:.0f} s | {_cell(outcome.reasons[0] if outcome.reasons else '')} |"
    )


def _compared(analysed: StepAnalysis, exposed: str) -> Iterator[str]:
    """The exposed ones first, and in their line how they differ."""
    for metric, comparison in analysed.compared.items():
        for variant, users in sorted(analysed.variants.items(), key=lambda each: (each[0] != exposed, each[0])):
            met, difference = users.outcomes[metric], _interval(comparison) if variant == exposed else ""
            share = f" ({100 * met / users.users:.2f} %)" if users.users else ""
            yield f"| {analysed.exposure} % | {metric} | {variant} | {users.users:,} | {met:,}{share} | {difference} |"


def _interval(comparison: Comparison) -> str:
    low, high = comparison.difference.low, comparison.difference.high
    end = f"{100 * high:+.2f}" if high is not None else "?"
    estimate = comparison.difference.estimate
    told = f"{100 * estimate:+.2f} points, " if estimate is not None else ""
    return f"{told}{100 * low:+.2f} to {end}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
