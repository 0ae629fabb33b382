"""A night whose repository is damaged where no restore looks: found by the flow itself, and nothing is built on it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import flows.nightly_snapshot as night_flow
from flows.nightly_snapshot import nightly_snapshot
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import manifest_of
from steward.snapshots.report import SnapshotNotVerified
from steward.verdicts import Verdict
from tests.unit.repository.sample import flipped

TONIGHT = datetime.now(UTC).date()


@pytest.fixture
def policy(fresh):
    # What is copied off site is not what is looked at here.
    return fresh.model_copy(update={"offsite": False})


@pytest.fixture
def folder(settings, policy):
    return Path(settings.snapshots.repository(policy.repository).path)


def manifest(settings, policy, snapshot):
    with connect(settings) as db:
        return manifest_of(db, policy.cluster, snapshot)


def test_damage_that_no_restore_notices_refutes_the_night_and_nothing_expires(policy, settings, folder, monkeypatch):
    before = nightly_snapshot(policy, TONIGHT - timedelta(days=1))
    assert before.verdict is Verdict.VERIFIED
    assert before.blobs.manifest.sha256 == manifest(settings, policy, before.snapshot).digest()
    check, damaged = night_flow.check_blobs, {}

    def damage_and_check(*given):
        path = max(folder.glob("indices/*/0/index-*"), key=lambda each: each.stat().st_mtime_ns)
        damaged[path] = path.read_bytes()
        path.write_bytes(flipped(damaged[path], 80))
        try:
            return check(*given)
        finally:
            path.write_bytes(damaged[path])

    monkeypatch.setattr(night_flow, "check_blobs", damage_and_check)
    with pytest.raises(SnapshotNotVerified) as raised:
        nightly_snapshot(policy, TONIGHT)
    report = raised.value.report
    (path,) = damaged
    (finding,) = report.findings
    assert (report.verdict, report.expired, report.blobs.manifest) == (Verdict.REFUTED, {}, None)
    assert str(path.relative_to(folder)) in finding.subject
    # The restores were right, all of them.
    assert report.copies


def test_the_next_night_reads_what_is_new_and_trusts_the_last_one(policy, settings):
    before = nightly_snapshot(policy, TONIGHT - timedelta(days=1))
    tonight = nightly_snapshot(policy, TONIGHT)
    assert (before.verdict, tonight.verdict) == (Verdict.VERIFIED, Verdict.VERIFIED)
    assert tonight.blobs.new < tonight.blobs.entries
    assert tonight.blobs.elder > 0
    assert tonight.blobs.generation > before.blobs.generation
    assert manifest(settings, policy, tonight.snapshot).digest() == tonight.blobs.manifest.sha256


def test_the_first_night_takes_what_is_new_since_a_snapshot_that_was_taken_by_hand(policy, settings):
    with open_search(settings, policy.cluster, "snapshot") as source:
        taken = source.request("PUT", f"/_snapshot/{policy.repository}/first?wait_for_completion=true")
        assert taken["snapshot"]["state"] == "SUCCESS"
        tonight = nightly_snapshot(policy, TONIGHT)
        assert tonight.verdict is Verdict.VERIFIED
        (told,) = source.request("GET", f"/_snapshot/{policy.repository}/{tonight.snapshot}/_status")["snapshots"]
        assert told["stats"]["incremental"]["size_in_bytes"] < told["stats"]["total"]["size_in_bytes"] / 10
        held = source.request("GET", f"/_snapshot/{policy.repository}/*")["snapshots"]
    assert {each["snapshot"] for each in held} == {"first", tonight.snapshot}
