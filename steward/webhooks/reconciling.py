"""What a webhook's sender says that it delivered, held against what the inbox has.

Whatever came of a delivery at the sender's side does not count: one that it noted as delivered may have been lost here, and one
that it noted as failed may have arrived. The inbox is the truth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.verdicts import NotVerified, Verdict, combine

CLAIM = "every delivery of an event that is handled here, which GitHub says that it made in the time looked at, is in the inbox"
#: Looked at again each time, for what GitHub lists late.
LEAST = timedelta(hours=3)
#: GitHub forgets deliveries after three days.
MOST = timedelta(hours=72)
#: Younger ones may be under way.
SETTLING = timedelta(minutes=2)
#: Of one run and source. Each is a question to GitHub, which allows 5,000 an hour to all who share the token.
MOST_RECOVERED = 500


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listed(BaseModel):
    """One attempt, as GitHub lists it; what else it tells is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=False)

    id: int
    guid: str
    delivered_at: AwareDatetime
    event: str


class Span(_Frozen):
    """The time of deliveries that a run looks at."""

    since: AwareDatetime
    until: AwareDatetime
    forgotten_since: AwareDatetime | None = None
    """Nobody looked from then until `since`, and now nobody can."""


class Missing(_Frozen):
    """What a source's list came to, before anything was recovered."""

    span: Span
    had: int
    """Deliveries, by guid, that the inbox has."""
    foreign: int
    """Of events that nothing here handles."""
    missing: tuple[Listed, ...]
    """One for each guid, in the order in which they were made; at most MOST_RECOVERED."""
    left: int = 0
    """More are missing."""


class Recovered(_Frozen):
    """One that is in the inbox now."""

    guid: str
    event: str
    key: str
    row: int
    is_new: bool
    """False: the same event was there already, under another id, or came meanwhile."""


class Unreadable(_Frozen):
    """One that GitHub has and the inbox cannot take."""

    guid: str
    id: int
    event: str
    why: str


class Outcome(_Frozen):
    """Of one source. `error`: GitHub, or the inbox, did not answer."""

    source: str
    found: Missing | None = None
    recovered: tuple[Recovered, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    error: str = ""
    settled: AwareDatetime | None = None
    """Up to when it had been settled before this run."""

    @property
    def verdict(self) -> Verdict:
        """VERIFIED where all that GitHub lists is in the inbox, and nobody missed a time that it has forgotten."""
        if self.unreadable:
            return Verdict.REFUTED
        unknown = self.error or self.found is None or self.found.left or self.found.span.forgotten_since
        return Verdict.UNKNOWN if unknown else Verdict.VERIFIED

    @property
    def settled_until(self) -> AwareDatetime | None:
        """From when on the next run has to look. What could not be read is looked at, and told, until GitHub forgets it."""
        done = self.found is not None and not (self.unreadable or self.error or self.found.left)
        return self.found.span.until if done and self.found else self.settled

    @property
    def findings(self) -> tuple[str, ...]:
        """What speaks against VERIFIED, the worst first."""
        return tuple(self._findings())

    def _findings(self) -> Iterator[str]:
        for each in self.unreadable:
            yield f"{self.source}: delivery {each.guid} ({each.event}, {each.id} at GitHub) cannot be read: {each.why}"
        if self.error:
            yield f"{self.source}: {self.error}"
        if self.found and self.found.left:
            yield f"{self.source}: {self.found.left} more are missing: the next run goes on"
        if self.found and (since := self.found.span.forgotten_since):
            yield (
                f"{self.source}: nobody looked from {since:%Y-%m-%d %H:%M} to {self.found.span.since:%Y-%m-%d %H:%M} UTC, "
                "and GitHub has forgotten what it delivered then"
            )


class Report(_Frozen):
    """The run's result."""

    period: str
    attempt: int
    started_at: AwareDatetime
    outcomes: tuple[Outcome, ...]
    ended_at: AwareDatetime
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"

    @property
    def verdict(self) -> Verdict:
        """On all sources."""
        return combine(each.verdict for each in self.outcomes)

    @property
    def findings(self) -> tuple[str, ...]:
        """Of all sources, those that are wrong first."""
        ordered = sorted(self.outcomes, key=lambda each: each.verdict is not Verdict.REFUTED)
        return tuple(finding for each in ordered for finding in each.findings)


class WebhooksNotReconciled(NotVerified):
    """The run ended REFUTED or UNKNOWN: a delivery is lost, or nobody knows whether one is."""

    def __init__(self, report: Report) -> None:
        first = next(iter(report.findings), "nothing was compared")
        super().__init__(
            f"webhooks of {report.period} are {report.verdict}: {first}",
            hint="read the run's artifact webhooks and docs/runbooks/reconcile-webhooks.md",
            verdict=report.verdict,
            report=report,
        )


def span_of(now: datetime, settled: datetime | None) -> Span:
    """From *settled*, or for LEAST where nobody looked yet or that is longer; never further back than MOST.

    A webhook's first run does not go back as far as GitHub remembers: what somebody did before all this was set up is not to be
    done again.
    """
    since = min(now - LEAST, settled or now)
    oldest = now - MOST
    forgotten = settled if settled and settled < oldest else None
    return Span(since=max(since, oldest), until=now - SETTLING, forgotten_since=forgotten)


def plan_recovery(span: Span, listed: Iterable[Listed], known: Collection[str], events: Collection[str]) -> Missing:
    """Which of *listed* are not *known*, each guid once, by its newest attempt."""
    by_guid = dict[str, Listed]()
    for each in listed:
        if span.since <= each.delivered_at <= span.until:
            by_guid.setdefault(each.guid, each)
    ours = [each for each in by_guid.values() if each.event in events]
    missing = sorted((each for each in ours if each.guid not in known), key=lambda each: (each.delivered_at, each.id))
    return Missing(
        span=span,
        had=len(ours) - len(missing),
        foreign=len(by_guid) - len(ours),
        missing=tuple(missing[:MOST_RECOVERED]),
        left=max(0, len(missing) - MOST_RECOVERED),
    )


def render(report: Report) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Webhooks: {report.period}",
            "",
            f"verdict: {report.verdict}",
            "",
            *(f"- {finding}" for finding in report.findings),
            "",
            "| source | verdict | looked at (UTC) | there | recovered | unreadable | not ours |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(_row(each) for each in report.outcomes),
            "",
            "| recovered | event | row |",
            "| --- | --- | --- |",
            *(
                f"| `{each.guid}` | `{each.key}` | {each.row}{'' if each.is_new else ', was there'} |"
                for outcome in report.outcomes
                for each in outcome.recovered
            ),
            "",
        ]
    )


def _row(outcome: Outcome) -> str:
    found, new = outcome.found, sum(each.is_new for each in outcome.recovered)
    if found is None:
        return f"| {outcome.source} | {outcome.verdict} | nothing | | | | |"
    span = f"{found.span.since:%Y-%m-%d %H:%M} to {found.span.until:%H:%M}"
    counts = f"{found.had} | {new} | {len(outcome.unreadable)} | {found.foreign}"
    return f"| {outcome.source} | {outcome.verdict} | {span} | {counts} |"
