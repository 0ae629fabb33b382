"""Nights on record for tests of the blob check: each with its verdict, as the night's own steps would leave it."""

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import BlobRecord, manifest_of
from steward.migrations.apply import migrate
from steward.snapshots import catalogue
from steward.snapshots.blob_check import check_night_blobs
from steward.snapshots.blob_record import Tonight
from steward.snapshots.report import SnapshotReport
from steward.verdicts import Verdict
from tests.integration.fresh_database import fresh_database

FIRST = date(2026, 5, 1)
CLUSTER = "production"


class Nights:
    """The record of one repository, and what nights come to."""

    def __init__(self, settings, repository) -> None:
        self.settings, self.repository = settings, repository

    def record(self, number, by="tonight"):
        """As the night with this *number* sees it."""
        return BlobRecord(
            connect=lambda: connect(self.settings),
            fence=lambda _: None,
            cluster=CLUSTER,
            repository=self.repository,
            night=FIRST + timedelta(days=number),
            by=f"{number} {by}",
        )

    def end(self, number, snapshot, verdict=Verdict.VERIFIED, expired=()):
        """The night has come to *verdict*."""
        at = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=number)
        report = SnapshotReport(
            cluster=CLUSTER,
            repository=self.repository,
            snapshot=snapshot,
            night=FIRST + timedelta(days=number),
            attempt=1,
            verdict=verdict,
            started_at=at,
            ended_at=at,
            expired=dict.fromkeys(expired, "older than 30 days"),
        )
        with connect(self.settings) as db:
            catalogue.keep_report(db, report)

    def manifest(self, snapshot):
        with connect(self.settings) as db:
            return manifest_of(db, CLUSTER, snapshot)


@contextmanager
def nights_of(settings, repository):
    """A database of their own."""
    with fresh_database(settings) as fresh:
        migrate(fresh)
        yield Nights(fresh, repository)


def look(nights, number, blobs, ground, *, snapshot, uuid, **options):
    """The check of the night with this *number*, asking the cluster that the *ground* is on."""
    tonight = Tonight(
        repository=ground.name,
        snapshot=snapshot,
        snapshot_uuid=uuid,
        night=FIRST + timedelta(days=number),
        retention_days=30,
        blob_check_days=options.pop("days", 30),
    )
    api = SimpleNamespace(request=lambda method, path, body=None, **_: ground.ask(method, path, body))
    record = nights.record(number, options.pop("by", "tonight"))
    return check_night_blobs(blobs, api, record, tonight, **options)
