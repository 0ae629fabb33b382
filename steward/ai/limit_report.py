"""What came of one comparison of limits: its verdict, and what people read of it."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from steward.ai.limit_drift import AccountLimits, Compared, Ours, Untold, compare_limits
from steward.verdicts import NotVerified, Verdict, combine

CLAIM = (
    "for every model that the gateway's catalog routes to, what we let through in a minute is not above what the provider has "
    "configured for the account, and not below the least share of it that was asked for"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DriftBegun(_Frozen):
    """What a run starts from: the catalog as it was read."""

    started_at: AwareDatetime
    catalog: str
    """Its file's SHA-256."""
    ours: tuple[Ours, ...]
    least_percent: int = Field(ge=0, le=100)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Those that routes name."""
        return tuple(dict.fromkeys(each.account for each in self.ours))


class DriftReport(_Frozen):
    """The run's result."""

    period: str
    attempt: int
    verdict: Verdict
    begun: DriftBegun
    told: tuple[AccountLimits | Untold, ...]
    compared: tuple[Compared, ...]
    ended_at: AwareDatetime
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"

    @property
    def findings(self) -> tuple[str, ...]:
        """Of all accounts, those that are wrong first."""
        ordered = sorted(self.compared, key=lambda each: each.verdict is not Verdict.REFUTED)
        return tuple(finding for each in ordered for finding in each.findings)


class LimitsDrifted(NotVerified):
    """The run ended REFUTED or UNKNOWN: our limits are not those of the providers, or nobody knows."""

    def __init__(self, report: DriftReport) -> None:
        first = next(iter(report.findings), "nothing was compared")
        super().__init__(
            f"limits of {report.period} are {report.verdict}: {first}",
            hint="read the run's artifact ai-limits and docs/runbooks/limit-drift.md",
            verdict=report.verdict,
            report=report,
        )


def compare_all(begun: DriftBegun, told: tuple[AccountLimits | Untold, ...]) -> tuple[Verdict, tuple[Compared, ...]]:
    """Each account's own, and the verdict on all of them."""
    compared = tuple(
        compare_limits([each for each in begun.ours if each.account == of.account], of, begun.least_percent)
        for of in told
    )
    return combine(each.verdict for each in compared), compared


def render_drift(report: DriftReport) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    notes = [f"{each.account}: {each.note}" for each in report.told if isinstance(each, AccountLimits) and each.note]
    return "\n".join(
        [
            f"# Limits of AI providers: {report.period}",
            "",
            f"verdict: {report.verdict}",
            "",
            *(f"- **{finding}**" for finding in report.findings),
            *(f"- {note}" for note in notes),
            "",
            "| routes | limit, a minute | ours | provider's | told by | |",
            "| --- | --- | --- | --- | --- | --- |",
            *(
                f"| {', '.join(drift.routes)} | {drift.dimension.replace('_', ' ')} "
                f"| {'none' if drift.ours is None else f'{drift.ours:,}'} | {drift.theirs:,} | {each.source} "
                f"| {drift.verdict} |"
                for each in report.compared
                for drift in each.drifts
            ),
            "",
        ]
    )
