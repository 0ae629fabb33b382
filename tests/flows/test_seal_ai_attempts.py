"""Hours of the ledger of attempts, sealed as a flow: closed, kept under lock, proved row by row, chained, killable anywhere."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
import tomli_w
from pydantic import ValidationError

import tasks.durable
import tasks.sealing_attempts
from flows.seal_ai_attempts import SealRequest, seal_ai_attempts
from replica import inventory
from steward.ai.errors import HourClosed
from steward.ai.sealing import name_of, sha256_of
from steward.ai.sealing_report import HoursNotSealed
from steward.clients.attempts_hours import survey
from steward.clients.attempts_sweeping import Swept
from steward.clients.postgres import connect
from steward.clients.s3 import LockedBucket, ObjectStoreUnavailable, open_evidence_bucket
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.migrations.apply import migrate
from steward.settings import load
from steward.verdicts import Verdict
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact, recording_in
from tests.integration.attempts_ground import asked, completed, hour_ago, past, planted, working
from tests.integration.fresh_database import fresh_database
from tests.keyring_ground import Ground, query

pytestmark = pytest.mark.without_search

FLOW = "flows.seal_ai_attempts.seal_ai_attempts"


@pytest.fixture
def ground(replica, tmp_path, monkeypatch):
    """A ledger of its own, whose hours have names of their own in the bucket: what is sealed can never be taken away."""
    clear_of_the_hour()
    file = inventory.settings_file(replica)
    with fresh_database(load(file)) as fresh:
        migrate(fresh)
        written = tomllib.loads(file.read_text())
        written["postgres"]["url"] = fresh.postgres.url
        written["operations"] = {"lease_seconds": 2, "heartbeat_seconds": 0.5}
        for checkpoint in ("checkpoint_key", "checkpoint_public_keys"):
            written["evidence"].pop(checkpoint, None)
        path = tmp_path / "settings.toml"
        path.write_text(tomli_w.dumps(written))
        monkeypatch.setenv("STEWARD_SETTINGS", str(path))
        with recording_in(replica):
            yield Ground(load(path), path)


def clear_of_the_hour(seconds=40):
    """No test begins in one hour and ends in the next, nor while another hour becomes due: both are told by the clock."""
    into = time.time() % 3600
    for boundary in (900, 3600):
        if boundary - seconds < into < boundary:
            time.sleep(boundary - into)


def run(label):
    return seal_ai_attempts(SealRequest(label=label))


def refused(label):
    with pytest.raises(HoursNotSealed) as found:
        run(label)
    return found.value.report


def statements(settings):
    rows = query(settings, "SELECT envelope FROM steward.evidence ORDER BY id")
    return [parse_statement(open_envelope(envelope.encode()).payload) for (envelope,) in rows]


def due(settings):
    """The newest hour that a run seals now."""
    with connect(settings) as db:
        moment = survey(db).now - timedelta(minutes=15)
    return moment.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


def kept(settings, sealed):
    """Each sealed hour's file and manifest, as they lie in the bucket."""
    with open_evidence_bucket(settings) as bucket:
        return [(bucket.get(each.object_key), bucket.get(each.manifest_key)) for each in sealed]


def read(body, columns):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.parquet"
        path.write_bytes(body)
        return duckdb.sql(f"SELECT {columns} FROM read_parquet('{path}') ORDER BY id").fetchall()  # noqa: S608


def test_hours_are_sealed_to_the_last_row_and_chained_and_told_once(ground):
    for hours, state, count in ((4, "settled", 40), (4, "unknown", 2), (4, "aborted", 1), (2, "settled", 5)):
        planted(ground.settings, hours, count, state)
    report = run("first")
    hours = [each.hour for each in report.sealed]
    assert (report.verdict, hours[0], hours[-1]) == (Verdict.VERIFIED, hour_ago(4), due(ground.settings))
    assert {later - earlier for earlier, later in pairwise(hours)} == {timedelta(hours=1)}
    assert report.states == {"settled": 45, "unknown": 2, "aborted": 1}

    objects = kept(ground.settings, report.sealed)
    rows = [row for body, _ in objects for row in read(body.body, "id, state, tenant, output, latency_ms")]
    assert sorted(rows) == query(
        ground.settings, "SELECT id, state, tenant, output, latency_ms FROM steward.ai_attempts ORDER BY id"
    )
    manifests = [json.loads(manifest.body) for _, manifest in objects]
    assert [each["previous"] for each in manifests] == [None, *[each.manifest_sha256 for each in report.sealed[:-1]]]
    assert [each["sha256"] for each in manifests] == [sha256_of(body.body) for body, _ in objects]
    assert manifests[0]["states"]["settled"]["sums"]["output"] == 40 * 7
    assert manifests[1]["states"] == {}
    assert all(each.locked_until for pair in objects for each in pair)

    (told,) = statements(ground.settings)
    assert (told.operation, told.verdict, told.figures["attempts"]) == ("seal-ai-attempts", Verdict.VERIFIED, 48)
    assert told.artifacts[0] == (named(ground.settings, hours[0]) + ".parquet", {"sha256": manifests[0]["sha256"]})
    assert "verdict: VERIFIED" in artifact("ai-attempts")
    assert run("first") == report
    nothing = refused("again")
    assert (nothing.verdict, nothing.sealed) == (Verdict.UNKNOWN, ())
    assert "no hour is due" in nothing.findings[0]


def test_a_closed_hour_takes_nothing_and_changes_nothing_any_more(ground):
    late, never = asked(), asked()

    async def act():
        async with working(ground.settings) as ledger:
            await ledger.send(late)
            await ledger.unknown(late.id, completed(ending="timed_out", usage=None))
            await asyncio.to_thread(
                past, ground.settings, ("UPDATE steward.ai_attempts SET reserved_at = %s", (due(ground.settings),))
            )
            await asyncio.to_thread(run, "closing")
            with pytest.raises(HourClosed) as closed:
                await ledger.settle(late.id, completed())
            # The hour in which it is now is open as ever.
            await ledger.send(never)
            return closed.value

    assert "correction" in asyncio.run(act()).hint
    assert query(ground.settings, "SELECT state FROM steward.ai_attempts WHERE id = %s", late.id) == [("unknown",)]


def test_an_hour_with_attempts_under_way_waits_and_is_not_green(ground):
    async def act():
        async with working(ground.settings) as ledger:
            await ledger.send(asked())
            at = due(ground.settings)
            await asyncio.to_thread(past, ground.settings, ("UPDATE steward.ai_attempts SET reserved_at = %s", (at,)))
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(tasks.sealing_attempts, "resolve_unknown", lambda _: Swept())
                return await asyncio.to_thread(refused, "waiting")

    report = asyncio.run(act())
    assert (report.verdict, report.sealed) == (Verdict.UNKNOWN, ())
    assert "1 attempts of the hour" in report.waiting[0].reason
    # Its worker has ended: nobody settles it any more, and the hour can be closed.
    done = run("waiting")
    assert (done.verdict, done.begun.swept_unknown, done.states) == (Verdict.VERIFIED, 1, {"unknown": 1})


def test_a_file_that_is_not_the_hour_is_refuted_and_the_next_run_takes_another_name(ground):
    planted(ground.settings, 3)
    first = hour_ago(3)
    with open_evidence_bucket(ground.settings) as bucket:
        put(bucket, named(ground.settings, first) + ".parquet", b"not the hour")
    report = refused("rotten")
    assert (report.verdict, report.sealed) == (Verdict.REFUTED, ())
    assert named(ground.settings, first) in report.findings[0]
    assert statements(ground.settings)[-1].verdict is Verdict.REFUTED
    mended = run("rotten")
    assert mended.verdict is Verdict.VERIFIED
    assert mended.sealed[0].object_key == named(ground.settings, first, 2) + ".parquet"


def named(settings, hour, edition=1):
    ((ledger,),) = query(settings, "SELECT id FROM steward.log")
    return name_of(ledger, hour, edition)


def put(bucket, key, body):
    bucket.put_once(key, body, locked_until=datetime.now(UTC) + timedelta(days=1))


def test_killed_at_each_of_its_steps_it_seals_each_hour_once_and_tells_it_once(ground, replica):
    planted(ground.settings, 3)
    planted(ground.settings, 2, state="unknown")
    for step in ("close_hours", "store_hours", "seal_hours", "record_sealing_evidence"):
        run_killed(replica, ground.file, FLOW, {"label": "killed"}, Death("after", step))
    report = run("killed")
    assert (report.verdict, report.attempt) == (Verdict.VERIFIED, 4)
    assert report.states == {"settled": 3, "unknown": 3}
    with open_evidence_bucket(ground.settings) as bucket:
        ((ledger,),) = query(ground.settings, "SELECT id FROM steward.log")
        pages = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=f"ai-attempts/{ledger}/")
        assert len(pages["Versions"]) == 2 * len(report.sealed)
    assert [each.period.partition("/")[2] for each in statements(ground.settings)] == ["killed"]


def test_a_store_that_is_away_is_unknown_and_nothing_is_lost(ground, monkeypatch):
    planted(ground.settings, 2)
    monkeypatch.setattr(tasks.durable, "is_transient", lambda _: False)

    get = LockedBucket.get

    def away(bucket, key, version_id=None):
        if key.startswith("ai-attempts/"):
            raise ObjectStoreUnavailable("the store went away", hint="see whether it runs")
        return get(bucket, key, version_id)

    with monkeypatch.context() as outage:
        outage.setattr(LockedBucket, "get", away)
        report = refused("away")
    assert (report.verdict, "went away" in report.error) == (Verdict.UNKNOWN, True)
    assert run("away").verdict is Verdict.VERIFIED


def test_what_is_asked_for_is_named_as_a_label_and_nothing_else():
    with pytest.raises(ValidationError):
        SealRequest(label="../evidence")
