"""Build a commit, prove it gate by gate, and tell whoever rolls releases out only of one that is proved.

Failure semantics: bad input (an unknown repository, a commit that is not there, a pipeline.toml that cannot be read, nothing
to compare with) ends the run Failed before anything of the commit has run. A gate that was checked and is wrong is REFUTED;
one that could not be checked, for its time was over, its program was missing or its build had failed, is UNKNOWN, and the
other gates are checked all the same. Only what a server's absence stops is tried again, never a red test. Every gate has a
signed statement, whatever it came to; anything but VERIFIED ends the run Failed, hands nothing over and tells nobody.
Killed anywhere, a new run goes on at the gate in flight, whose processes are gone; a gate that was found stands. One that is
proved, and cannot be handed over or announced, ends the run Failed, and started again it goes on there.
"""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from steward.errors import StewardError
from steward.operations.claims import Terms
from steward.pipeline.report import CandidateReport, StageRun, not_verified
from steward.pipeline.request import GATES, Candidate, CandidateRequest
from steward.rollout.gates import Gate
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.lineage import run_asked_for
from tasks.pipeline_beginning import begin_candidate, remove_checkout
from tasks.pipeline_publishing import (
    announce_candidate,
    conclude_candidate,
    deploy_at_github,
    hand_over,
    publish_candidate,
    record_candidate,
)
from tasks.pipeline_stages import leave_gate, prove_gate, state_gate


def _period(request: CandidateRequest) -> str:
    """Each run that was asked for proves anew: evidence grows old, and so do lists of vulnerabilities."""
    return f"{request.commit}/{run_asked_for()}"


@flow(name="release-candidate", flow_run_name="prove {request.commit}", persist_result=False)
@durable(
    subject="{request.name}",
    period=_period,
    # One after the other: two that run side by side measure each other.
    resource="release-candidate/{request.repository}",
    terms=Terms(deadline_seconds=12 * 3600),
)
def release_candidate(request: CandidateRequest) -> CandidateReport:
    """From a commit to a release with evidence of every quality gate.

    Args:
        request: Which commit of which repository.
    """
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_candidate) or _report(request)
    statement = record_candidate(report)
    publish_candidate(report)
    if report.verdict is not Verdict.VERIFIED:
        raise not_verified(report)
    hand_over(report)
    # Last, so that whoever is told finds the release and its evidence.
    announce_candidate(report, statement.digest)
    deploy_at_github(report, statement.digest)
    return report


def _report(request: CandidateRequest) -> CandidateReport:
    try:
        candidate = begin_candidate(request)
        stages = prove(candidate)
        return conclude_candidate(candidate, stages, tuple(state_gate(candidate, each) for each in stages))
    finally:
        remove_checkout(request)


def prove(candidate: Candidate) -> tuple[StageRun, ...]:
    """Every gate in its order; after a build that failed there is nothing to check."""
    built = check(candidate, Gate.BUILD)
    if built.found.verdict is Verdict.VERIFIED:
        return built, *(check(candidate, gate) for gate in GATES[1:])
    return built, *(leave_gate(candidate, gate, "there is no build to check") for gate in GATES[1:])


def check(candidate: Candidate, gate: Gate) -> StageRun:
    """What it came to, whatever stopped it."""
    try:
        return prove_gate(candidate, gate)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the gate is UNKNOWN, and its statement says why
        # Of an error that is not ours nobody knows what stands in it.
        why = f"{type(error).__name__}: {error}" if isinstance(error, StewardError) else type(error).__name__
        get_run_logger().error("gate %s could not be checked: %s", gate, why)
        return leave_gate(candidate, gate, why)
