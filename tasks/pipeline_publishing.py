"""What a release candidate states and shows, and who is told of one that is proved."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from pydantic import JsonValue

from steward.clients.announcing import announce
from steward.clients.application_host import open_application_host
from steward.clients.github_api import GitHub
from steward.clients.github_deploying import ensure_deployment
from steward.evidence.provenance import CodeVersion, code_version, host_class
from steward.evidence.statements import Artifact as Named
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.pipeline.page import render_candidate
from steward.pipeline.report import (
    CLAIM,
    CandidateReport,
    StageRun,
    announcement,
    announcement_id,
    figures_of,
    gates_of_stages,
    verdict_on,
)
from steward.pipeline.request import Candidate
from steward.rollout.gates import GateEvidence
from steward.settings import load
from tasks.durable import operation, step
from tasks.pipeline_build import read_artifact
from tasks.pipeline_workspace import github_of
from tasks.rollout_gates import OPERATION


@step("conclude", kind=Kind.CLOSING)
def conclude_candidate(
    candidate: Candidate, stages: tuple[StageRun, ...], evidence: tuple[GateEvidence, ...]
) -> CandidateReport:
    """The verdict. Kept once, so that its evidence says the same whatever a later attempt would find."""
    return CandidateReport(
        candidate=candidate,
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict_on(evidence),
        stages=stages,
        gates=gates_of_stages(candidate, evidence),
        artifact=next((each.artifact for each in stages if each.artifact), None),
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of {report.candidate.release}", kind=Kind.CLOSING)
def record_candidate(report: CandidateReport) -> EvidenceRef:
    """Sign the statement that a rollout asks for; the same report again changes nothing."""
    return record(load(), candidate_statement(report))


@step("publish", kind=Kind.CLOSING)
def publish_candidate(report: CandidateReport) -> None:
    """A page and an event. Twice is harmless: artifacts are versions under one key."""
    candidate = report.candidate
    create_markdown_artifact(
        render_candidate(report), key="release-candidate", description=f"{candidate.release}: {report.verdict}"
    )
    emit_event(
        event=f"steward.release.{report.verdict.lower()}",
        resource={"prefect.resource.id": f"steward.release.{candidate.release}"},
        payload={
            "release": candidate.release,
            "repository": candidate.request.repository,
            "commit": candidate.commit,
            "environment": candidate.environment,
            "findings": list(report.findings),
        },
    )


@step("hand over", run_name="hand over {report.candidate.release}")
def hand_over(report: CandidateReport) -> None:
    """What was built and proved, byte for byte, to whoever runs releases; already there, it is left alone."""
    settings, candidate = load(), report.candidate
    if report.artifact is None:
        msg = "a release is VERIFIED without an artifact"
        raise AssertionError(msg)
    content = read_artifact(settings, report.artifact)
    with open_application_host(settings, candidate.environment) as host:
        host.take(candidate.release, content)


@step("announce", run_name="announce {report.candidate.release}")
def announce_candidate(report: CandidateReport, statement: str) -> None:
    """Tell whoever is to roll it out. Twice is once: the receiver knows it by the release and its commit."""
    settings = load()
    if told := settings.proving.announce:
        announce(told, settings.vault, announcement_id(report), announcement(report, statement))


@step("deploy at GitHub", run_name="deploy {report.candidate.release} at GitHub")
def deploy_at_github(report: CandidateReport, statement: str) -> int | None:
    """A deployment where the repository's settings name a source: GitHub's webhook of it tells the rest. None: they do not."""
    settings, candidate = load(), report.candidate
    api = github_of(settings, candidate.request.repository)
    if api is None:
        return None
    payload: dict[str, JsonValue] = {"release": candidate.release, "flag": candidate.flag, "statement": statement}
    because = candidate.request.because or f"release candidate {candidate.release}"
    github = GitHub(api, settings.vault)
    return ensure_deployment(github, candidate.commit, candidate.environment, payload, because)


def candidate_statement(report: CandidateReport) -> Statement:
    """What is claimed of one release. `quality_gates` is what a rollout reads."""
    candidate = report.candidate
    about = [Named(f"commit of {candidate.release}", {"gitCommit": candidate.commit})]
    if report.artifact:
        about.append(Named(report.artifact.file, {"sha256": report.artifact.sha256}))
    return Statement(
        operation=OPERATION,
        subject=candidate.release,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=tuple(about),
        inputs=(
            artifact_of("pipeline.toml", candidate.manifest.model_dump(mode="json")),
            *(Named(f"gate {each.gate}", {"sha256": each.statement}) for each in report.gates.evidence),
        ),
        figures=dict(figures_of(report)),
        findings=report.findings,
        started=candidate.begun_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )
