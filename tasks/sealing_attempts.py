"""The steps of sealing hours of the ledger of attempts: closed, stored, read back, entered, and told."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from steward.ai.sealing import (
    HOUR,
    MOST_HOURS,
    CheckedHour,
    ClosedHour,
    Sealed,
    SealedHour,
    StoredHour,
    WaitingHour,
    manifest_of,
    plan_hours,
    sha256_of,
    sound,
)
from steward.ai.sealing_report import (
    SealingBegun,
    SealingFacts,
    SealReport,
    assess_sealing,
    render_sealing,
    states_of,
)
from steward.clients.attempts_hours import (
    READ_SECONDS,
    close_hour,
    closed_hour,
    discard_edition,
    keep_sealed,
    sealed_hour,
    survey,
)
from steward.clients.attempts_parquet import compare_parquet, export_hour, parquet_figures, write_parquet
from steward.clients.attempts_sweeping import resolve_unknown
from steward.clients.postgres import Connection, connect
from steward.clients.s3 import LockedBucket, ObjectMissing, open_evidence_bucket
from steward.clients.scratch import scratch_folder
from steward.evidence.provenance import code_version, host_class
from steward.evidence.store import EvidenceRef, record
from steward.operations.fencing import fence
from steward.operations.holding import guard
from steward.operations.steps import Kind
from steward.settings import Settings, load
from tasks.durable import operation, step
from tasks.sealing_statement import sealing_statement

_PARQUET = "application/vnd.apache.parquet"


@step("look what is due")
def begin_sealing() -> SealingBegun:
    """Which hours are over and not sealed. What nobody settles any more is resolved first, so that they can be closed."""
    settings, started = load(), datetime.now(UTC)
    with open_evidence_bucket(settings):
        # A bucket without lock is refused before anything is closed.
        swept = resolve_unknown(settings)
    with connect(settings) as db:
        seen = survey(db)
    hours = plan_hours(seen)
    return SealingBegun(
        started_at=started,
        hours=tuple(hours[:MOST_HOURS]),
        left=max(0, len(hours) - MOST_HOURS),
        last_sealed=seen.last_sealed,
        swept_unknown=swept.unknown,
        swept_aborted=swept.aborted,
    )


@step("close hours")
def close_hours(begun: SealingBegun) -> tuple[ClosedHour | WaitingHour, ...]:
    """Nothing comes to them any more; the first that has open attempts keeps those after it waiting too."""
    found = list[ClosedHour | WaitingHour]()
    for hour in begun.hours:
        with _reading(load()) as db:
            fence(db)
            waiting = close_hour(db, hour)
            found.append(waiting or closed_hour(db, hour))
        if waiting:
            break
    return tuple(found)


@step("store hours")
def store_hours(closed: tuple[ClosedHour, ...]) -> tuple[StoredHour, ...]:
    """Each as one object that nobody can delete before its time. One that lies there already is taken as it is, and
    compared like any other: a closed hour has one content.
    """
    settings = load()
    with open_evidence_bucket(settings, before_write=guard) as bucket:
        return tuple(_store(settings, bucket, each) for each in closed)


def _store(settings: Settings, bucket: LockedBucket, closed: ClosedHour) -> StoredHour:
    with scratch_folder("ai") as folder:
        exported = _export(settings, closed, folder)
        write_parquet(exported, folder / "hour.parquet")
        body = (folder / "hour.parquet").read_bytes()
    until = datetime.now(UTC) + timedelta(days=settings.evidence.lock_days)
    there = bucket.put_once(closed.object_key, body, locked_until=until, content_type=_PARQUET)
    return StoredHour(closed=closed, version_id=there.version_id, sha256=sha256_of(there.body), bytes=len(there.body))


@step("read hours back")
def read_hours_back(stored: tuple[StoredHour, ...]) -> tuple[CheckedHour, ...]:
    """Each object against what the ledger has now, row by row, and by both sides' sums."""
    settings = load()
    with open_evidence_bucket(settings) as bucket:
        return tuple(CheckedHour(stored=each, findings=_findings(settings, bucket, each)) for each in stored)


def _findings(settings: Settings, bucket: LockedBucket, stored: StoredHour) -> tuple[str, ...]:
    closed = stored.closed
    try:
        body = bucket.get(closed.object_key, stored.version_id).body
    except ObjectMissing as missing:
        return (missing.message,)
    if sha256_of(body) != stored.sha256:
        return (f"{closed.object_key} is not what was stored: its SHA-256 is another",)
    with scratch_folder("ai") as folder:
        parquet = folder / "hour.parquet"
        parquet.write_bytes(body)
        differing = compare_parquet(_export(settings, closed, folder), parquet)
        if not differing and parquet_figures(parquet) != closed.states:
            differing = ["its sums are not those of the ledger"]
    return tuple(f"{closed.object_key}: {each}" for each in differing)


@step("seal hours")
def seal_hours(checked: tuple[CheckedHour, ...]) -> Sealed:
    """Each with a manifest that names the one before, in their order; none after one that is not what it ought to be."""
    settings, hours, findings = load(), list[SealedHour](), ()
    with open_evidence_bucket(settings, before_write=guard) as bucket:
        for each in sound(checked):
            made = _seal(settings, bucket, each.stored)
            if made is None:
                findings = (f"{each.stored.closed.manifest_key} is not the hour's manifest: somebody wrote it first",)
                break
            hours.append(made)
    for each in checked[len(hours) :][:1]:
        # Its name is locked with something else in it; the next run takes another.
        with connect(settings) as db:
            fence(db)
            discard_edition(db, each)
    return Sealed(hours=tuple(hours), findings=findings)


def _seal(settings: Settings, bucket: LockedBucket, stored: StoredHour) -> SealedHour | None:
    with connect(settings) as db:
        before = sealed_hour(db, stored.closed.hour - HOUR)
    manifest = manifest_of(stored, before.manifest_sha256 if before else None)
    until = datetime.now(UTC) + timedelta(days=settings.evidence.lock_days)
    if bucket.put_once(stored.closed.manifest_key, manifest, locked_until=until).body != manifest:
        return None
    with connect(settings) as db:
        fence(db)
        return keep_sealed(db, stored, sha256_of(manifest), operation().id)


@step("conclude sealing", kind=Kind.CLOSING)
def conclude_sealing(begun: SealingBegun, facts: SealingFacts) -> SealReport:
    """The run's verdict. Kept once, whatever a later attempt would measure."""
    verdict, findings = assess_sealing(begun, facts)
    return SealReport(
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict,
        begun=begun,
        waiting=facts.waiting,
        sealed=facts.sealed.hours,
        states=states_of(facts),
        findings=findings,
        error=facts.error,
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the sealing", kind=Kind.CLOSING)
def record_sealing_evidence(report: SealReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), sealing_statement(report))


@step("show sealed hours", kind=Kind.CLOSING)
def show_sealing(report: SealReport) -> None:
    """Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(render_sealing(report), key="ai-attempts", description=f"AI attempts: {report.verdict}")
    emit_event(
        event="steward.ai.sealed",
        resource={"prefect.resource.id": "steward.ai.attempts"},
        payload={
            "period": report.period,
            "verdict": report.verdict,
            "hours": len(report.sealed),
            "attempts": sum(each.rows for each in report.sealed),
        },
    )


def _export(settings: Settings, closed: ClosedHour, folder: Path) -> Path:
    exported = folder / "hour.csv"
    with _reading(settings) as db:
        export_hour(db, closed.hour, exported)
    return exported


@contextmanager
def _reading(settings: Settings) -> Generator[Connection]:
    """For statements that read a whole hour."""
    with connect(settings, statement_timeout_seconds=READ_SECONDS) as db:
        yield db
