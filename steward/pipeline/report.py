"""What a release candidate comes to: its gates' evidence, the verdict, and the words that tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from steward.pipeline.request import Artifact, Candidate
from steward.pipeline.stage import StageFound
from steward.rollout.gates import Gate, GateEvidence, QualityGates
from steward.verdicts import NotVerified, Verdict, combine

CLAIM = (
    "the artifact was built from the commit, and every gate of it was checked; each has a signed statement of its own"
)
GATE_CLAIM = "the gate was checked on the commit, by the commands of its own pipeline.toml"
#: As the signed form of webhooks names it.
EVENT_TYPE = "release.candidate"


class StageRun(BaseModel):
    """One stage: what it found, and when."""

    model_config = ConfigDict(frozen=True)

    gate: Gate
    found: StageFound
    started: AwareDatetime
    finished: AwareDatetime
    attempt: int = Field(ge=1, description="of the operation: the same statement, whichever attempt signs it")
    artifact: Artifact | None = None
    """Of a build that was done."""


class CandidateReport(BaseModel):
    """The whole of it."""

    model_config = ConfigDict(frozen=True)

    candidate: Candidate
    period: str
    attempt: int
    verdict: Verdict
    stages: tuple[StageRun, ...]
    gates: QualityGates
    artifact: Artifact | None
    ended_at: AwareDatetime
    code: dict[str, Any]
    host: str

    @property
    def findings(self) -> tuple[str, ...]:
        """What speaks against it, the gate first."""
        return tuple(
            f"{stage.gate}: {stage.found.verdict}: {stage.found.summary}"
            for stage in self.stages
            if stage.found.verdict is not Verdict.VERIFIED
        )


class CandidateNotVerified(NotVerified):
    """A gate was refuted, or could not be checked: nobody is told of a release, and nothing is handed over."""


def not_verified(report: CandidateReport) -> CandidateNotVerified:
    """Names each gate that stands against it."""
    return CandidateNotVerified(
        f"release {report.candidate.release} is {report.verdict}: {'; '.join(report.findings)}",
        hint="the run's page has each gate's findings and the last that its program said; docs/runbooks/release-candidate.md",
        verdict=report.verdict,
        report=report,
    )


def gates_of_stages(candidate: Candidate, evidence: tuple[GateEvidence, ...]) -> QualityGates:
    """As the rollout reads them."""
    return QualityGates(release=candidate.release, commit=candidate.commit, evidence=evidence)


def verdict_on(evidence: tuple[GateEvidence, ...]) -> Verdict:
    """VERIFIED only where every gate is there and VERIFIED."""
    missing = set(Gate) - {each.gate for each in evidence}
    return combine([*(each.verdict for each in evidence), *(Verdict.UNKNOWN for _ in missing)])


def announcement(report: CandidateReport, statement: str) -> dict[str, JsonValue]:
    """What whoever rolls releases out is told: the same, byte for byte, of the same report."""
    candidate = report.candidate
    return {
        "type": EVENT_TYPE,
        "timestamp": report.ended_at.isoformat(),
        "data": {
            "release": candidate.release,
            "commit": candidate.commit,
            "ref": candidate.request.ref,
            "repository": candidate.request.repository,
            "environment": candidate.environment,
            "flag": candidate.flag,
            "because": candidate.request.because or f"release candidate of {candidate.commit}",
            "artifact": report.artifact.sha256 if report.artifact else None,
            "statement": statement,
        },
    }


def announcement_id(report: CandidateReport) -> str:
    """By which a repeat is known for one."""
    return f"{report.candidate.release}/{report.candidate.commit}"


def figures_of(report: CandidateReport) -> Mapping[str, JsonValue]:
    """Of the statement: what was proved, of which commit, against which release. Durations are whole milliseconds."""
    candidate = report.candidate
    return {
        "quality_gates": report.gates.model_dump(mode="json"),
        "release": candidate.release,
        "repository": candidate.request.repository,
        "commit": candidate.commit,
        "tree": candidate.tree,
        "ref": candidate.request.ref,
        "because": candidate.request.because,
        "environment": candidate.environment,
        "flag": candidate.flag,
        "first": candidate.request.first,
        "certified_release": candidate.certified.release if candidate.certified else None,
        "certified_commit": candidate.certified.commit if candidate.certified else None,
        "artifact_file": report.artifact.file if report.artifact else None,
        "artifact_bytes": report.artifact.bytes if report.artifact else None,
        "milliseconds": {
            str(stage.gate): round(1000 * max(0.0, (stage.finished - stage.started).total_seconds()))
            for stage in report.stages
        },
    }
