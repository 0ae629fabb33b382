"""What people read of a run: markdown, the verdict first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steward.search.onboarding import BOUND_SECONDS, Onboarded
from steward.search.provisioning import Difference, ProvisionPlan, ProvisionReport


def plan_summary(plan: ProvisionPlan) -> str:
    """The difference, shown before anything is changed."""
    if plan.as_described:
        return f"# {plan.cluster} is as described\n\nNothing differs.\n"
    return "\n".join(
        [
            f"# {plan.cluster} differs from its description",
            "",
            *_section("Refused: nothing is changed while this stands", plan.refusals),
            *_table("Would be changed", plan.changes),
            *_table("Not in this flow's power", set(plan.differences) - set(plan.changes)),
        ]
    )


def provision_summary(report: ProvisionReport) -> str:
    """What was changed, and what still differs."""
    return "\n".join(
        [
            f"# Search cluster {report.cluster}",
            "",
            f"verdict: {report.verdict}",
            "",
            _outcome(report),
            "",
            *_section("Refused", report.refusals),
            *_table("Changed", report.changed),
            *_table("Still differs", report.remaining),
        ]
    )


def onboarding_summary(report: Onboarded) -> str:
    """What the tenant got, and how it was proved."""
    return "\n".join(
        [
            f"# Tenant {report.tenant} on {report.cluster}",
            "",
            f"verdict: {report.verdict}",
            "",
            f"Searchable after {report.seconds:.1f} s (bound {BOUND_SECONDS:.0f} s), proved by {report.proof}.",
            "",
            f"The application uses the alias `{report.alias}` under the role `{report.role}`.",
            "",
            *_section("Made", report.made or ("nothing: everything was there",)),
            *_section("Findings", report.findings),
        ]
    )


def _outcome(report: ProvisionReport) -> str:
    if not report.applied:
        return "Compared only; nothing was changed."
    if not report.changed:
        return "Nothing was changed: nothing differed that could be."
    writers = ", ".join(report.writers)
    return f"Read back after the change. The repository was written and read by {writers}."


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {line}" for line in lines), ""] if lines else []


def _table(title: str, found: Iterable[Difference]) -> list[str]:
    rows = [
        f"| {each.part} | {each.name} | {each.place} | {_cell(detail)} |"
        for each in sorted(found, key=str)
        for detail in each.details
    ]
    return (
        [f"## {title}", "", "| part | name | place | difference |", "| --- | --- | --- | --- |", *rows, ""]
        if rows
        else []
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
