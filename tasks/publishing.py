"""What a night shows: artifacts for people, an event for machines."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from steward.clients.postgres import connect
from steward.errors import StewardError
from steward.operations.steps import Kind
from steward.settings import load
from steward.snapshots import catalogue
from steward.snapshots.certificate import render_certificate, render_history, tenant_table
from steward.snapshots.report import SnapshotReport
from tasks.durable import step


@step("publish", kind=Kind.CLOSING)
def publish(report: SnapshotReport) -> None:
    """Certificate, table of tenants, trend, event. Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(render_certificate(report), key="snapshot-certificate", description=_summary(report))
    if report.tenants:
        create_table_artifact(tenant_table(report), key="snapshot-tenants", description=_summary(report))
    _publish_history(report)
    emit_event(
        event=f"steward.snapshot.{report.verdict.lower()}",
        resource={"prefect.resource.id": f"steward.snapshot.{report.cluster}"},
        payload={
            "snapshot": report.snapshot,
            "night": str(report.night),
            "attempt": report.attempt,
            "verdict": report.verdict,
            "documents": report.documents,
            "blobs": report.blobs and report.blobs.verdict,
            "offsite_copy": report.copied and report.copied.verdict,
            "offsite_proof": report.copy_proved and report.copy_proved.verdict,
            "rto_seconds": report.rto_seconds,
            "rpo_seconds": report.rpo_seconds,
        },
    )


def _publish_history(report: SnapshotReport) -> None:
    try:
        with connect(load()) as connection:
            past = catalogue.history(connection, report.cluster)
    except StewardError:
        # The certificate says already that the record is away; a picture of what is known is still true.
        past = []
    from steward.snapshots.trend import draw_trend  # noqa: PLC0415  matplotlib would slow the start of every run

    tonight = [] if any(p.snapshot == report.snapshot for p in past) else [report]
    reports = [*tonight, *past]
    # In markdown: an image artifact would print the picture's data beside it as a link.
    shown = f"![past nights: duration, documents, verdict]({draw_trend(reports)})\n\n{render_history(reports)}"
    create_markdown_artifact(shown, key="snapshot-history", description="Past nights, newest first")


def _summary(report: SnapshotReport) -> str:
    return f"{report.snapshot} of {report.cluster}: {report.verdict}"
