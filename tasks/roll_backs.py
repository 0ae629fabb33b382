"""The way back as steps of a run: it is done, shown, told and recorded."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from pydantic import JsonValue

from steward.clients.answering import ask_who_answers
from steward.clients.application_host import open_application_host
from steward.clients.flag_errors import NoSuchFlag
from steward.clients.flag_store import flag_history, read_flag
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts_return import look, roll_back
from steward.clients.rollouts_telling import notice_of
from steward.evidence.provenance import CodeVersion, code_version, host_class
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.rollout.return_report import (
    CLAIM,
    Proof,
    RollBackReport,
    RollBackRequest,
    render_roll_back,
)
from steward.rollout.returning import By, Returned
from steward.settings import Settings, load
from tasks.durable import operation, step
from tasks.notices import tell

OPERATION = "roll-back-now"
#: Users that are sent through the load balancer afterwards.
_REQUESTS = 100


@step("go back", run_name="go back in {request.environment}")
def go_back(request: RollBackRequest) -> Returned:
    """Users first, then the traffic. A try that died is answered with what it came to: nobody goes back twice.

    Raises NoWayBack, NotLive, NotReady: nothing is touched then.
    """
    by = By(who=request.by, why=request.because, via="run")
    return roll_back(load(), request.environment, by, request.leave)


@step("show who answers", kind=Kind.ALWAYS)
def show_who_answers(returned: Returned) -> Proof:
    """Asked each time anew: it is about now."""
    settings = load()
    answers = ask_who_answers(settings, returned.environment, _REQUESTS)
    is_off, said = _flag(settings, returned.flag)
    return Proof(
        expected=returned.to or _runs(settings, returned.environment),
        requests=answers.requests,
        by=answers.by,
        failed=answers.failed,
        is_off=is_off,
        flag_said=said,
        asked_at=datetime.now(UTC),
    )


def tell_of_it(request: RollBackRequest, returned: Returned) -> tuple[str, ...]:
    """Who was not told, and why. Of a rollout that was under way its own run tells; of what others did, they do."""
    # Also where a try of this run ended it, and died before it was recorded.
    is_ours = returned.ended_here or (returned.who, returned.why) == (request.by, request.because)
    if returned.roll_back is None or not is_ours:
        return ()
    return tuple(f"{each.target}: {each.error}" for each in tell(notice_of(load(), returned)) if not each.ok)


@step("conclude", kind=Kind.CLOSING)
def conclude_roll_back(
    request: RollBackRequest, returned: Returned, proof: Proof, not_told: tuple[str, ...]
) -> RollBackReport:
    """The verdict, kept once."""
    return RollBackReport(
        request=request,
        period=operation().period,
        attempt=operation().attempt,
        verdict=proof.verdict,
        returned=returned,
        proof=proof,
        not_told=not_told,
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the way back", kind=Kind.CLOSING)
def record_roll_back(report: RollBackReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), roll_back_statement(report))


@step("publish", kind=Kind.CLOSING)
def publish_roll_back(report: RollBackReport) -> None:
    """A page and an event. Twice is harmless: artifacts are versions under one key."""
    returned = report.returned
    create_markdown_artifact(
        render_roll_back(report),
        key="roll-back",
        description=f"{returned.environment} back at {returned.to or 'what it had before'}: {report.verdict}",
    )
    emit_event(
        event="steward.rollout.returned",
        resource={"prefect.resource.id": f"steward.rollout.{returned.environment}"},
        payload={
            "left": returned.left,
            "to": returned.to,
            "verdict": report.verdict,
            "rollout": returned.rollout,
            "roll_back": returned.roll_back,
            "by": returned.who,
            "findings": list(report.findings[:20]),
        },
    )


def roll_back_statement(report: RollBackReport) -> Statement:
    """What a way back claims about itself."""
    returned = report.returned
    return Statement(
        operation=OPERATION,
        subject=returned.environment,
        period=report.period,
        attempt=report.attempt,
        verdict=report.verdict,
        claim=CLAIM,
        artifacts=(artifact_of(f"release {returned.to or 'before'}", {"release": returned.to}),),
        inputs=(artifact_of("request", report.request.model_dump(mode="json")),),
        figures=_figures(report),
        findings=report.findings,
        started=returned.begun_at,
        finished=report.ended_at,
        code=CodeVersion.model_validate(report.code),
        host=report.host,
    )


def _figures(report: RollBackReport) -> dict[str, JsonValue]:
    returned, proof = report.returned, report.proof
    return {
        "left": returned.left,
        "to": returned.to,
        "by": returned.who,
        "because": returned.why,
        "rollout": returned.rollout,
        "roll_back": returned.roll_back,
        "was_under_way": returned.roll_back is None,
        "milliseconds": round(1000 * returned.seconds),
        "flag": returned.flag,
        "flag_is_off": proof.is_off,
        "requests": proof.requests,
        "answers": dict(proof.by),
        "without_an_answer": dict(proof.failed),
    }


def _flag(settings: Settings, key: str | None) -> tuple[bool | None, str]:
    if key is None:
        return None, ""
    with connect(settings) as db:
        try:
            newest = flag_history(db, key)[0]
            return read_flag(db, key).flag.killed, f"version {newest.version} by {newest.who}: {newest.why}"
        except NoSuchFlag:
            return None, "the store has no such flag"


def _runs(settings: Settings, environment: str) -> str | None:
    """Where nobody recorded what was there before the rollout."""
    with open_application_host(settings, environment) as host:
        live = [each.release for each in look(open_balancer(settings, environment), host) if each.takes]
    return live[0] if len(live) == 1 else None
