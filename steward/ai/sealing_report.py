"""What came of one run that seals hours: its verdict, and what people read of it."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.ai.sealing import CheckedHour, Sealed, SealedHour, WaitingHour
from steward.verdicts import NotVerified, Verdict, combine

CLAIM = (
    "each sealed hour holds every attempt that the ledger has of it, row by row as it was read back from under Object Lock, "
    "and nothing comes to it any more; no hour before it is missing"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SealingBegun(_Frozen):
    """What a run starts from: the hours that are due, oldest first."""

    started_at: AwareDatetime
    hours: tuple[AwareDatetime, ...]
    left: int = 0
    """Hours that are due too, and more than one run takes."""
    last_sealed: AwareDatetime | None = None
    swept_unknown: int = 0
    swept_aborted: int = 0


class SealingFacts(_Frozen):
    """What a run came to before it is judged; what it did not come to is absent."""

    waiting: tuple[WaitingHour, ...] = ()
    checked: tuple[CheckedHour, ...] = ()
    sealed: Sealed = Sealed()
    error: str | None = None


class SealReport(_Frozen):
    """The run's result."""

    period: str
    attempt: int
    verdict: Verdict
    begun: SealingBegun
    waiting: tuple[WaitingHour, ...] = ()
    sealed: tuple[SealedHour, ...] = ()
    states: dict[str, int] = {}
    """Attempts of the sealed hours, by state."""
    findings: tuple[str, ...] = ()
    error: str | None = None
    ended_at: AwareDatetime
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"


class HoursNotSealed(NotVerified):
    """The run ended REFUTED or UNKNOWN: hours of the ledger are not proved to be kept."""

    def __init__(self, report: SealReport) -> None:
        first = report.error or next(iter(report.findings), "nothing was sealed")
        super().__init__(
            f"sealing of {report.period} is {report.verdict}: {first.splitlines()[0]}",
            hint="read the run's artifact ai-attempts and docs/runbooks/seal-ai-attempts.md",
            verdict=report.verdict,
            report=report,
        )


def assess_sealing(begun: SealingBegun, facts: SealingFacts) -> tuple[Verdict, tuple[str, ...]]:
    """VERIFIED where every hour that is due is sealed; an hour that waits, or is left, is UNKNOWN and never green."""
    wrong = tuple(f"{_hour(each.stored.closed.hour)}: {found}" for each in facts.checked for found in each.findings)
    wrong += facts.sealed.findings
    sealed = {each.hour for each in facts.sealed.hours}
    waiting = tuple(f"{_hour(each.hour)} is not closed: {each.reason}" for each in facts.waiting)
    unsealed = [hour for hour in begun.hours if hour not in sealed]
    reasons = (*wrong, *waiting)
    if unsealed and not reasons and not facts.error:
        reasons = (f"{len(unsealed)} hours are not sealed, the first {_hour(unsealed[0])}",)
    if begun.left:
        reasons += (f"{begun.left} more hours are due: the next run goes on",)
    if not begun.hours:
        reasons += (f"no hour is due: the last that is sealed is {_hour(begun.last_sealed)}",)
    parts = [*[Verdict.VERIFIED] * len(sealed), *[Verdict.REFUTED] * bool(wrong)]
    parts += [Verdict.UNKNOWN] * bool(unsealed or begun.left or facts.error)
    return combine(parts), reasons


def states_of(facts: SealingFacts) -> dict[str, int]:
    """Attempts of the sealed hours, by state."""
    sealed, counts = {each.hour for each in facts.sealed.hours}, dict[str, int]()
    for each in facts.checked:
        if each.stored.closed.hour in sealed:
            for state, figures in each.stored.closed.states.items():
                counts[state] = counts.get(state, 0) + figures.rows
    return counts


def render_sealing(report: SealReport) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Hours of AI attempts: {report.period}",
            "",
            f"verdict: {report.verdict}",
            "",
            *(f"> {line}" for line in (report.error or "").splitlines()),
            *(f"- {finding}" for finding in report.findings),
            "",
            "| hour | attempts | bytes | object |",
            "| --- | --- | --- | --- |",
            *(
                f"| {_hour(each.hour)} | {each.rows:,} | {each.bytes:,} | `{each.object_key}` |"
                for each in report.sealed
            ),
            "",
            "| figure | value |",
            "| --- | --- |",
            *(f"| {name} | {value:,} |" for name, value in _figures(report)),
            "",
        ]
    )


def _figures(report: SealReport) -> Iterator[tuple[str, int]]:
    yield "made unknown by this run: sent, and nobody tells what came of it", report.begun.swept_unknown
    yield "aborted by this run: never sent", report.begun.swept_aborted
    for state in sorted(report.states):
        yield f"sealed as {state}", report.states[state]


def _hour(hour: AwareDatetime | None) -> str:
    return f"{hour:%Y-%m-%d %H}:00 UTC" if hour else "none"
