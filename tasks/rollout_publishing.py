"""What a rollout states and shows: its report, a signed statement, a page for people, an event for machines."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from pydantic import JsonValue

from steward.clients import rollouts
from steward.clients.flag_outcomes import read_totals
from steward.clients.flag_store import read_flag
from steward.clients.postgres import connect
from steward.clients.rollouts_said import said
from steward.evidence.provenance import CodeVersion, code_version, host_class
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.rollout.analysis import analyse
from steward.rollout.page import render_rollout
from steward.rollout.report import CLAIM, Ending, RolloutReport, verdict_on
from steward.rollout.request import RolloutRequest
from steward.rollout.state import State
from steward.settings import load
from tasks.durable import operation, step

OPERATION = "production-rollout"


@step("conclude", kind=Kind.CLOSING)
def conclude_rollout(request: RolloutRequest, ending: Ending) -> RolloutReport:
    """The verdict. Kept once, so that its evidence says the same whatever a later attempt would read."""
    with connect(load()) as db:
        rollout = rollouts.read(db, ending.rollout)
        told = said(db, rollout.id)
        totals = read_totals(db, rollout.flag, str(rollout.id))
        off = read_flag(db, rollout.flag).flag.off
    return RolloutReport(
        request=request,
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict_on(ending),
        rollout=rollout.id,
        colour=rollout.colour,
        previous_colour=rollout.previous_colour,
        previous_release=rollout.previous_release,
        certified=rollout.state is State.CERTIFIED,
        ending=ending,
        said=tuple(told),
        preconditions=ending.preconditions,
        analysis=tuple(analyse(totals, rollout.plan, rollout.variant, off)),
        withdrawn_seconds=rollout.withdrawn_seconds,
        withdrawn_at=rollout.withdrawn_at,
        withdrawn_by=rollout.who,
        closed_at=rollout.ended_at,
        begun_at=rollout.begun_at,
        exposed_at=rollout.exposed_at,
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the rollout", kind=Kind.CLOSING)
def record_rollout(report: RolloutReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), rollout_statement(report))


@step("publish", kind=Kind.CLOSING)
def publish_rollout(report: RolloutReport) -> None:
    """A page and an event. Twice is harmless: artifacts are versions under one key."""
    request = report.request
    create_markdown_artifact(
        render_rollout(report),
        key="rollout",
        description=f"{request.release} in {request.environment}: {report.verdict}",
    )
    emit_event(
        event=f"steward.rollout.{'certified' if report.certified else 'rolled-back'}",
        resource={"prefect.resource.id": f"steward.rollout.{request.environment}"},
        payload={
            "release": request.release,
            "verdict": report.verdict,
            "rollout": report.rollout,
            "cause": report.ending.cause,
            "findings": list(report.findings[:20]),
        },
    )


def rollout_statement(report: RolloutReport) -> Statement:
    """What a rollout claims about itself."""
    request = report.request
    return Statement(
        operation=OPERATION,
        subject=request.environment,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=(artifact_of(f"release {request.release}", {"release": request.release, "colour": report.colour}),),
        inputs=(
            artifact_of("plan", request.plan.model_dump(mode="json")),
            artifact_of("quality gates", report.preconditions.gates.model_dump(mode="json")),
        ),
        figures=_figures(report),
        findings=report.findings,
        started=report.begun_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _figures(report: RolloutReport) -> dict[str, JsonValue]:
    """What an auditor asks for first: what went where and why, how it ended, by whom and when; then what it rests on."""
    request, ending, seconds = report.request, report.ending, report.withdrawn_seconds
    return {
        "rollout": report.rollout,
        "release": request.release,
        "colour": report.colour,
        "flag": request.flag,
        "variant": report.preconditions.variant,
        "previous_release": report.previous_release,
        "previous_colour": report.previous_colour,
        "because": request.because,
        "deployment": request.deployment,
        "certified": report.certified,
        "cause": str(ending.cause) if ending.cause else None,
        "why": ending.why,
        "withdrawn_by": report.withdrawn_by,
        "withdrawn_milliseconds": None if seconds is None else round(1000 * seconds),
        "times": _times(report),
        "plan": request.plan.model_dump(mode="json"),
        "steps": [each.model_dump(mode="json") for each in ending.steps],
        "decisions": [each.model_dump(mode="json") for each in report.said],
        "variants": [each.model_dump(mode="json") for each in report.analysis],
        "gates_asked_for": [str(each) for each in request.gates.gates],
        "gates": [each.model_dump(mode="json") for each in report.preconditions.gates.findings],
        "agreement": report.preconditions.agreement,
        "slow_ms": report.preconditions.slow_ms,
    }


def _times(report: RolloutReport) -> dict[str, JsonValue]:
    """By the database's clock; None: it did not come to that."""
    told = {
        "began": report.begun_at,
        "exposed": report.exposed_at,
        "withdrawn": report.withdrawn_at,
        "closed": report.closed_at,
    }
    return {name: at.isoformat() if at else None for name, at in told.items()}
