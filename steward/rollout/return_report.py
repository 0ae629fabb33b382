"""What a way back is asked for, and what it came to: who answers users now, and whether the flag is off."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from steward.rollout.returning import Returned
from steward.verdicts import NotVerified, Verdict

CLAIM = (
    "the version before answers users again: every one of the requests that were sent through the load balancer was answered by "
    "it, and the flag of the release that was left is off for everybody, as the store of flags has it"
)


class RollBackRequest(BaseModel):
    """Back to the previous version, now. Nothing is to be chosen: what is live is left."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Roll back now")

    environment: str = Field(
        default="production",
        title="Environment",
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        description="The one that this Steward's settings are of.",
    )
    by: str = Field(title="By", min_length=1, max_length=200, pattern=r"\S", description="Your name, for the record.")
    because: str = Field(
        title="Because",
        min_length=1,
        max_length=2000,
        pattern=r"\S",
        description="What you see. It is recorded and told; no secret.",
    )
    leave: str = Field(
        default="",
        title="Leave",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._+-]{0,99})?$",
        description="Only this release, if it is live; empty: whichever is.",
    )


class Proof(BaseModel):
    """Who answers users after it, and what the store of flags says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: str | None
    """The release that is to answer; None: nobody knows what the load balancer sends users to."""
    requests: int
    by: dict[str, int] = {}
    """Answers by the release that gave them."""
    failed: dict[str, int] = {}
    is_off: bool | None = None
    """The flag; None: there is none that is known."""
    flag_said: str = ""
    """By its newest version: who, and why."""
    asked_at: AwareDatetime

    @property
    def findings(self) -> Iterator[str]:
        """Whatever keeps it from being verified."""
        if self.expected is None:
            yield "which release has the traffic is not known to the application's host"
        for release, times in self.by.items():
            if release != self.expected:
                yield f"{times} of {self.requests} requests were answered by {release}, not by {self.expected}"
        yield from (f"{times} of {self.requests} requests: {what}" for what, times in self.failed.items())
        if self.is_off is False:
            yield "the flag of what was left is not off"
        elif self.is_off is None:
            yield "no rollout put up what was left, so which flags are its own is not known"

    @property
    def verdict(self) -> Verdict:
        """UNKNOWN is not green: what did not answer showed nothing."""
        if self.is_off is False or any(release != self.expected for release in self.by):
            return Verdict.REFUTED if self.expected is not None or self.is_off is False else Verdict.UNKNOWN
        return Verdict.UNKNOWN if any(self.findings) or not self.by else Verdict.VERIFIED


class RollBackReport(BaseModel):
    """The run's result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: RollBackRequest
    period: str
    attempt: int
    verdict: Verdict
    returned: Returned
    proof: Proof
    not_told: tuple[str, ...] = ()
    ended_at: AwareDatetime
    code: dict[str, str | bool | None] = {}
    host: str = "unknown"

    @property
    def findings(self) -> tuple[str, ...]:
        """What speaks against it first."""
        joined = (f"{self.returned.who} had asked for it before: {self.returned.why}",) if self.returned.joined else ()
        return (*self.proof.findings, *joined, *(f"not told: {each}" for each in self.not_told))


class RollBackNotVerified(NotVerified):
    """It was not shown that the version before answers everybody."""

    def __init__(self, report: RollBackReport) -> None:
        first = next(iter(report.findings), "nothing was shown")
        super().__init__(
            f"the way back of {report.request.environment} is {report.verdict}: {first}",
            hint="docs/runbooks/roll-back-now.md says what to look at",
            verdict=report.verdict,
            report=report,
        )


def render_roll_back(report: RollBackReport) -> str:
    """Markdown: the outcome first."""
    return "\n".join(_lines(report))


def _lines(report: RollBackReport) -> Iterator[str]:
    returned, proof = report.returned, report.proof
    yield f"# {returned.environment} is back at {returned.to or 'what it had before'}"
    yield ""
    yield f"**{report.verdict}**. {returned.left} was left in {returned.seconds:.1f} s by {returned.who}: {_cell(returned.why)}"
    if report.findings:
        yield ""
        yield from (f"- {_cell(each)}" for each in report.findings)
    yield from ("", "| shown | |", "| --- | --- |")
    answers = ", ".join(f"{release}: {times}" for release, times in sorted(proof.by.items())) or "none"
    yield f"| answers to {proof.requests} requests through the load balancer | {_cell(answers)} |"
    is_off = {True: "off", False: "NOT OFF", None: "unknown"}[proof.is_off]
    yield f"| flag {returned.flag or 'unknown'} | {is_off} |"
    yield f"| its history | {_cell(proof.flag_said)} |"
    yield f"| rollout | {returned.rollout or 'none'} |"
    yield f"| how | {_how(returned)} |"


def _how(returned: Returned) -> str:
    if returned.roll_back is None:
        return "the rollout was under way, and is withdrawn"
    return (
        f"after its end, roll back {returned.roll_back}; {returned.left} is revoked: a new rollout of it may be begun, "
        "and nothing returns to it before that is certified"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
