"""The gates of a release candidate, each a step that is run once, and the signed statement of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from steward.clients.commands import strike_out
from steward.evidence.statements import Artifact as Named
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import record
from steward.operations.steps import Kind
from steward.pipeline.report import GATE_CLAIM, StageRun
from steward.pipeline.request import Artifact, Candidate, seconds_between
from steward.pipeline.stage import StageFound
from steward.rollout.gates import Gate, GateEvidence
from steward.settings import Settings, load
from steward.verdicts import Verdict
from tasks.durable import operation, step
from tasks.pipeline_build import build
from tasks.pipeline_migrations import prove_migrations
from tasks.pipeline_performance import prove_performance
from tasks.pipeline_security import prove_security
from tasks.pipeline_tests import prove_contract_tests, prove_unit_tests
from tasks.pipeline_workspace import Workspace, workspace

OPERATION = "quality-gate"

_PROOFS: Mapping[Gate, Callable[[Workspace, Candidate, Settings], StageFound]] = {
    Gate.UNIT_TESTS: prove_unit_tests,
    Gate.CONTRACT_TESTS: prove_contract_tests,
    Gate.MIGRATIONS: prove_migrations,
    Gate.SECURITY: prove_security,
    Gate.PERFORMANCE: prove_performance,
}


@step("prove", run_name="prove {gate} of {candidate.release}", key="{gate}")
def prove_gate(candidate: Candidate, gate: Gate) -> StageRun:
    """What one gate comes to. Found once, it stands, whichever attempt goes on; an attempt that was killed begins it anew.

    Raises what waiting may cure; everything else that keeps a gate from being checked is UNKNOWN.
    """
    settings, started = load(), datetime.now(UTC)
    with workspace(settings, candidate.request.repository) as work:
        found, artifact = _found(work, candidate, gate, settings)
        found = _without_secrets(found, work)
    return _run(gate, found, started, artifact)


@step("leave out", run_name="leave {gate} of {candidate.release} unknown", key="{gate}", kind=Kind.CLOSING)
def leave_gate(candidate: Candidate, gate: Gate, why: str) -> StageRun:
    """A gate that was not come to, or could not be checked: nobody knows."""
    return _run(gate, StageFound.of(Verdict.UNKNOWN, why), datetime.now(UTC), None)


@step("state", run_name="state {stage.gate} of {candidate.release}", key="{stage.gate}", kind=Kind.CLOSING)
def state_gate(candidate: Candidate, stage: StageRun) -> GateEvidence:
    """Sign what the gate came to, whatever it is; the same again changes nothing."""
    ref = record(load(), gate_statement(candidate, stage, operation().period))
    return GateEvidence(
        gate=stage.gate,
        release=candidate.release,
        verdict=stage.found.verdict,
        at=stage.finished,
        statement=ref.digest,
        summary=stage.found.summary,
        seconds=seconds_between(stage.started, stage.finished),
    )


def gate_statement(candidate: Candidate, stage: StageRun, period: str) -> Statement:
    """Of one gate of one release: the commit and what was built are what it is about."""
    about = [Named(f"commit of {candidate.release}", {"gitCommit": candidate.commit})]
    if stage.artifact:
        about.append(Named(stage.artifact.file, {"sha256": stage.artifact.sha256}))
    return Statement(
        operation=OPERATION,
        subject=f"{candidate.release}/{stage.gate}",
        period=period,
        attempt=stage.attempt,
        verdict=stage.found.verdict,
        claim=GATE_CLAIM,
        artifacts=tuple(about),
        inputs=(artifact_of("pipeline.toml", candidate.manifest.model_dump(mode="json")),),
        figures={**stage.found.figures, "summary": stage.found.summary, "tree": candidate.tree},
        findings=stage.found.findings,
        started=stage.started,
        finished=stage.finished,
    )


def _found(work: Workspace, candidate: Candidate, gate: Gate, settings: Settings) -> tuple[StageFound, Artifact | None]:
    if gate is Gate.BUILD:
        return build(work, candidate, settings)
    if getattr(candidate.manifest, gate) is None:
        return StageFound.of(Verdict.UNKNOWN, f"pipeline.toml has no table [{gate}]: nothing was proved"), None
    return _PROOFS[gate](work, candidate, settings), None


def _run(gate: Gate, found: StageFound, started: datetime, artifact: Artifact | None) -> StageRun:
    finished = datetime.now(UTC)
    return StageRun(
        gate=gate, found=found, started=started, finished=finished, attempt=operation().attempt, artifact=artifact
    )


def _without_secrets(found: StageFound, work: Workspace) -> StageFound:
    """Names of tests and files are the repository's words as well as what its commands print."""
    return StageFound.of(
        found.verdict,
        strike_out(found.summary, work.struck),
        figures={name: _struck(value, work.struck) for name, value in found.figures.items()},
        findings=[strike_out(each, work.struck) for each in found.findings],
        tail=strike_out(found.tail, work.struck),
    )


def _struck(value: JsonValue, secrets: tuple[str, ...]) -> JsonValue:
    if isinstance(value, str):
        return strike_out(value, secrets)
    if isinstance(value, list):
        return [_struck(each, secrets) for each in value]
    if isinstance(value, dict):
        return {strike_out(name, secrets): _struck(each, secrets) for name, each in value.items()}
    return value
