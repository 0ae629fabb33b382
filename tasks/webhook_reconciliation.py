"""The steps of reconciling webhooks: GitHub's list is read, what the inbox lacks is fetched and kept, and it is told."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.clients.github_api import GitHub
from steward.clients.github_asking import GitHubRefused
from steward.clients.github_deliveries import listed_since, whole
from steward.clients.postgres import connect
from steward.clients.webhook_inbox import NOTIFY, keep, known
from steward.errors import BadInput
from steward.evidence.envelopes import open_envelope
from steward.evidence.provenance import code_version, host_class
from steward.evidence.statements import parse_statement
from steward.evidence.store import EvidenceRef, list_statements, record
from steward.operations.fencing import fence
from steward.operations.steps import Kind
from steward.settings import GitHubApi, GitHubSource, Settings, load
from steward.webhooks import github
from steward.webhooks.errors import DeliveryRefused
from steward.webhooks.reconciling import (
    Listed,
    Missing,
    Outcome,
    Recovered,
    Report,
    Unreadable,
    plan_recovery,
    render,
    span_of,
)
from tasks.durable import operation, step
from tasks.webhook_statement import OPERATION, settled_in, webhook_statement


class Begun(BaseModel):
    """Which sources are looked at, and up to when each was settled before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    started_at: AwareDatetime
    settled: dict[str, AwareDatetime | None]


class Brought(BaseModel):
    """What became of the missing deliveries of one source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recovered: tuple[Recovered, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


@step("look which sources there are")
def begin_reconciliation() -> Begun:
    """GitHub's that name a hook. BadInput where there are none."""
    settings = load()
    names = [name for name in _sources(settings) if _sources(settings)[name].hook]
    if not names:
        raise BadInput(
            "the settings name no webhook at GitHub: there is nothing to reconcile",
            hint="add api with its hook to a source in [webhooks]; docs/settings.md",
        )
    with connect(settings) as db:
        newest = list_statements(db, OPERATION, limit=1)
    settled = settled_in(parse_statement(open_envelope(newest[0].envelope.encode()).payload)) if newest else {}
    return Begun(started_at=datetime.now(UTC), settled={name: settled.get(name) for name in names})


@step("compare deliveries", run_name="compare deliveries of {source}", key="{source}")
def find_missing(begun: Begun, source: str) -> Missing:
    """Those that GitHub lists and the inbox has not. Raises GitHubAway, GitHubRefused."""
    settings = load()
    api, span = _api(settings, source), span_of(begun.started_at, begun.settled[source])
    listed = list(listed_since(GitHub(api, settings.vault), _hook(api), span.since))
    with connect(settings) as db:
        there = known(db, source, {each.guid for each in listed})
    return plan_recovery(span, listed, there, github.EVENTS)


@step("recover deliveries", run_name="recover deliveries of {source}", key="{source}")
def recover_missing(source: str, found: Missing) -> Brought:
    """Each fetched whole and kept as if it had arrived, in its own transaction: killed, the next attempt has fewer to fetch.

    What is fetched is the payload as JSON anew, in other bytes than those that were signed: it is held against the inbox by the
    guid and by the event's own key, and GitHub's own word over TLS stands for the signature. Raises GitHubAway, GitHubRefused.
    """
    settings = load()
    recovered, unreadable = list[Recovered](), list[Unreadable]()
    for each in found.missing:
        brought = _recover(settings, source, each)
        (recovered if isinstance(brought, Recovered) else unreadable).append(brought)  # pyright: ignore[reportArgumentType]  its own list
    return Brought(recovered=tuple(recovered), unreadable=tuple(unreadable))


def _recover(settings: Settings, source: str, listed: Listed) -> Recovered | Unreadable:
    api = _api(settings, source)
    try:
        fetched = whole(GitHub(api, settings.vault), _hook(api), listed)
        delivery = github.read(source, fetched.headers, fetched.body, now=listed.delivered_at)
    except (GitHubRefused, DeliveryRefused) as unfit:
        if isinstance(unfit, GitHubRefused) and unfit.status in _NOT_ITS_FAULT:
            raise
        return Unreadable(guid=listed.guid, id=listed.id, event=listed.event, why=unfit.message)
    with connect(settings) as db, db.transaction():
        fence(db)
        kept = keep(db, delivery, "reconciled")
        db.execute(NOTIFY)
    return Recovered(guid=listed.guid, event=listed.event, key=delivery.key, row=kept.id, is_new=kept.is_new)


#: The token's.
_NOT_ITS_FAULT = frozenset({401, 403})


@step("conclude reconciliation", kind=Kind.CLOSING)
def conclude_reconciliation(begun: Begun, outcomes: tuple[Outcome, ...]) -> Report:
    """The verdict. Kept once, so that its evidence says the same whatever a later attempt would find."""
    return Report(
        period=operation().period,
        attempt=operation().attempt,
        started_at=begun.started_at,
        outcomes=outcomes,
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the reconciliation", kind=Kind.CLOSING)
def record_reconciliation(report: Report) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), webhook_statement(report))


@step("publish", kind=Kind.CLOSING)
def publish_reconciliation(report: Report) -> None:
    """Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(render(report), key="webhooks", description=f"webhooks: {report.verdict}")
    emit_event(
        event="steward.webhooks.reconciled",
        resource={"prefect.resource.id": "steward.webhooks"},
        payload={
            "period": report.period,
            "verdict": report.verdict,
            "recovered": sum(each.is_new for outcome in report.outcomes for each in outcome.recovered),
            "findings": list(report.findings[:20]),
        },
    )


def _sources(settings: Settings) -> dict[str, GitHubApi]:
    sources = settings.webhooks.sources if settings.webhooks else {}
    return {name: each.api for name, each in sources.items() if isinstance(each, GitHubSource) and each.api}


def _api(settings: Settings, source: str) -> GitHubApi:
    """BadInput where somebody took it out of the settings since the run began."""
    found = _sources(settings).get(source)
    if found is None:
        raise BadInput(f"the settings have no api of {source} any more", hint="put it back, or wait for the next run")
    return found


def _hook(api: GitHubApi) -> int:
    if api.hook is None:
        raise BadInput("the settings name no hook any more", hint="put it back, or wait for the next run")
    return api.hook
