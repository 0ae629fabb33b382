"""Quality gates: the named evidence that a release must have before anybody is exposed to it. The schema is fixed here.

The pipeline fills it, one `GateEvidence` a stage; each names the signed statement that says the same, so that it can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from steward.verdicts import Verdict, combine

SCHEMA = "steward-quality-gates-v1"


class Gate(StrEnum):
    """What is proved of a release before it goes out."""

    BUILD = "build"
    """The artifact was built from the commit that it names."""
    UNIT_TESTS = "unit_tests"
    CONTRACT_TESTS = "contract_tests"
    MIGRATIONS = "migrations"
    """Forward and backward, on a copy; the release before runs on the new schema."""
    SECURITY = "security"
    """Dependencies without known vulnerabilities, no secret in the sources."""
    PERFORMANCE = "performance"
    """No slower than the last certified release."""


class GateEvidence(BaseModel):
    """One gate's outcome for one release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: Gate
    release: str = Field(min_length=1, max_length=200)
    verdict: Verdict
    at: AwareDatetime
    statement: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the signed statement that says the same")
    summary: str = Field(min_length=1, max_length=500, description="what was checked, with figures")
    seconds: float = Field(ge=0, allow_inf_nan=False)


class QualityGates(BaseModel):
    """All evidence of one release, as the pipeline hands it over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["steward-quality-gates-v1"] = SCHEMA
    release: str = Field(min_length=1, max_length=200)
    commit: str = Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")
    evidence: tuple[GateEvidence, ...] = ()


class GatesNeeded(BaseModel):
    """What a rollout asks for. Prefect shows this model as a form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gates: tuple[Gate, ...] = Field(default=tuple(Gate), title="Quality gates", description="each must be VERIFIED")
    newest_days: float = Field(
        default=14,
        gt=0,
        le=366,
        title="Not older than",
        description="days; an older verdict says nothing of today's risks",
    )


class GateFinding(BaseModel):
    """One needed gate, as the rollout sees it."""

    model_config = ConfigDict(frozen=True)

    gate: Gate
    verdict: Verdict
    says: str
    statement: str | None = None


class GatesReport(BaseModel):
    """What the evidence comes to. Only VERIFIED lets a rollout begin."""

    model_config = ConfigDict(frozen=True)

    release: str
    verdict: Verdict
    findings: tuple[GateFinding, ...]

    @property
    def against(self) -> tuple[GateFinding, ...]:
        return tuple(each for each in self.findings if each.verdict is not Verdict.VERIFIED)


def assess_gates(needed: GatesNeeded, had: QualityGates | None, release: str, now: datetime) -> GatesReport:
    """The newest evidence of every needed gate. None, of another release, too old or from the future: UNKNOWN."""
    evidence = had.evidence if had and had.release == release else ()
    findings = tuple(_assess(gate, evidence, needed, release, now) for gate in dict.fromkeys(needed.gates))
    # Nothing needed is a choice that the form shows; nothing found is not.
    verdict = combine(each.verdict for each in findings) if findings else Verdict.VERIFIED
    return GatesReport(release=release, verdict=verdict, findings=findings)


def _assess(
    gate: Gate, evidence: Iterable[GateEvidence], needed: GatesNeeded, release: str, now: datetime
) -> GateFinding:
    found = max(_of(gate, evidence, release), key=lambda each: each.at, default=None)
    if found is None:
        return GateFinding(gate=gate, verdict=Verdict.UNKNOWN, says=f"no evidence of {gate} for release {release}")
    age = now - found.at
    verdict, says = found.verdict, found.summary
    if age > timedelta(days=needed.newest_days):
        verdict, says = _unless_refuted(verdict), f"{age.days} days old, {needed.newest_days:g} are allowed: {says}"
    elif age < -timedelta(minutes=1):
        verdict, says = _unless_refuted(verdict), f"from the future ({found.at:%Y-%m-%d %H:%M} UTC): {says}"
    return GateFinding(gate=gate, verdict=verdict, says=says, statement=found.statement)


def _of(gate: Gate, evidence: Iterable[GateEvidence], release: str) -> Iterator[GateEvidence]:
    return (each for each in evidence if each.gate is gate and each.release == release)


def _unless_refuted(verdict: Verdict) -> Verdict:
    return Verdict.REFUTED if verdict is Verdict.REFUTED else Verdict.UNKNOWN
