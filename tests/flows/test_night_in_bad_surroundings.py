"""A night whose surroundings are wrong: a clear error with a hint, UNKNOWN, nothing touched and nothing deleted."""

import socket
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
import tomli_w

import flows.nightly_snapshot as night_flow
from replica import certificates, faults, inventory
from replica.elasticsearch import api
from replica.elasticsearch.clusters import HAND, SCRATCH
from steward.clients.elasticsearch import open_search
from steward.clients.elasticsearch_errors import SearchAway
from steward.clients.postgres import connect
from steward.settings import VARIABLE, load
from steward.snapshots import catalogue
from steward.snapshots.report import SnapshotNotVerified
from steward.verdicts import Verdict
from tasks import night_plan
from tasks import snapshots as acts
from tests.flows.prefect_server import recording_in
from tests.nights import forget_nights

TONIGHT = datetime.now(UTC).date()


@pytest.fixture
def impatient(monkeypatch):
    """What stays away is not waited for: the waiting is Prefect's, and costs a minute a test."""
    for name in ("check_preconditions", "restore_batch", "record_evidence"):
        monkeypatch.setattr(night_flow, name, getattr(night_flow, name).with_options(retries=0))


@pytest.fixture
def changed(replica, monkeypatch, tmp_path, older, impatient):
    """Let the night run under changed settings: `changed(lambda settings: …)`."""

    def change(how):
        found = tomllib.loads(inventory.settings_file(replica).read_text())
        how(found)
        (tmp_path / "settings.toml").write_text(tomli_w.dumps(found))
        monkeypatch.setenv(VARIABLE, str(tmp_path / "settings.toml"))

    return change


@pytest.fixture(scope="module")
def night_before(replica, ground):
    """The policy, and the snapshot of last night, which is VERIFIED. Once: it takes longer than a night that fails."""
    settings = load(inventory.settings_file(replica))
    forget_nights(settings, ground)
    with pytest.MonkeyPatch.context() as patch, recording_in(replica):
        for name, value in inventory.environment(replica).items():
            patch.setenv(name, value)
        report = night_flow.nightly_snapshot(ground, TONIGHT - timedelta(days=1))
    return ground, report.snapshot


@pytest.fixture
def older(night_before, in_replica, settings):
    """The policy of a cluster whose last night is VERIFIED; its snapshot is the only one before and after the test."""
    policy, snapshot = night_before
    with connect(settings) as db:
        # Tonight has not been tried: a night that failed would go on where it failed.
        db.execute("truncate steward.operations cascade")
    with recording_in(in_replica):
        yield policy
    with open_search(settings, policy.cluster, "snapshot") as source:
        held = source.request("GET", f"/_snapshot/{policy.repository}/nightly-*")["snapshots"]
    assert [each["snapshot"] for each in held] == [snapshot], "something was taken or deleted"


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def said_by(policy, settings):
    with pytest.raises(SnapshotNotVerified) as raised:
        night_flow.nightly_snapshot(policy, TONIGHT)
    assert raised.value.verdict is Verdict.UNKNOWN
    with connect(settings) as db:
        report = catalogue.history(db, policy.cluster)[0]
    assert (report.verdict, report.expired) == (Verdict.UNKNOWN, {})
    assert "HINT:" in report.error
    return report.error


def test_a_wrong_ca_is_named(older, changed, settings, tmp_path):
    foreign = certificates.authority(tmp_path / "foreign")
    changed(lambda found: found["search"]["production"].update(ca_file=str(foreign)))
    assert "the certificate of cluster production was not accepted" in said_by(older, settings)


def test_a_wrong_password_is_named_and_not_repeated(older, changed, settings, tmp_path):
    (tmp_path / "wrong").write_text("not-the-password")
    users = {"username": "snapshot", "password": f"file:{tmp_path / 'wrong'}"}
    changed(lambda found: found["search"]["production"]["users"].update(snapshot=users))
    said = said_by(older, settings)
    assert "refused user 'snapshot'" in said
    assert "not-the-password" not in said


def test_a_cluster_that_is_away_is_named(older, changed, settings):
    away = [f"https://127.0.0.1:{closed_port()}"]
    changed(lambda found: found["search"]["production"].update(hosts=away))
    assert "cluster production does not answer" in said_by(older, settings)


def test_a_scratch_cluster_that_is_away_is_named(older, changed, settings):
    away = [f"https://127.0.0.1:{closed_port()}"]
    changed(lambda found: found["search"]["scratch"].update(hosts=away))
    assert "cluster scratch does not answer" in said_by(older, settings)


def test_an_object_store_that_is_away_fails_the_run_after_the_verdict_is_kept(older, changed, settings):
    changed(lambda found: found["objects"].update(endpoint=f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        night_flow.nightly_snapshot(older, TONIGHT)
    with connect(settings) as db:
        report = catalogue.history(db, older.cluster)[0]
    assert report.verdict is Verdict.UNKNOWN
    assert "HINT:" in report.error


def test_a_clock_more_than_a_minute_off_is_named(older, impatient, settings, monkeypatch):
    real = night_plan.time.time
    monkeypatch.setattr(night_plan.time, "time", lambda: real() + 120)
    assert "s off ours; at most 60 s is allowed" in said_by(older, settings)


def test_a_scratch_disk_without_room_is_named_before_the_snapshot_is_taken(older, impatient, settings, monkeypatch):
    monkeypatch.setattr(acts.capture, "disks", lambda _: {"scratch": (100 << 30, 5 << 30)})
    assert "node scratch has room for 0 bytes below its flood stage" in said_by(older, settings)


@pytest.fixture
def stays_master(replica):
    """Every two minutes a node looks after its disk, and one that finds it full is no master for the next two."""
    hand = api.connect(replica, SCRATCH, "scratch", HAND)
    for enabled in (False, None):
        hand.call("PUT", "/_cluster/settings", {"persistent": {"monitor.fs.health.enabled": enabled}})
        if enabled is False:
            yield


def test_a_scratch_disk_that_fills_up_says_nothing_against_the_snapshot(
    fresh, replica, settings, stays_master, impatient
):
    with faults.filled(replica.state, "scratch"), pytest.raises(SnapshotNotVerified) as raised:
        night_flow.nightly_snapshot(fresh, TONIGHT)
    assert raised.value.verdict is Verdict.UNKNOWN
    # Once there is room again, the same night is proved: what the full disk left was removed.
    assert night_flow.nightly_snapshot(fresh, TONIGHT).verdict is Verdict.VERIFIED


def test_a_restore_of_a_dead_night_that_begins_only_now_is_dropped_and_the_night_is_proved(
    fresh, settings, impatient, monkeypatch
):
    late = []

    def restored_at_last(there, repository, snapshot, indices, prefix, **rest):
        """The master gets to a restore that a night gave up and cleared, right before it is told of tonight's."""
        if gave_up and not late:
            late.extend(restore(there, repository, gave_up[0], indices, gave_up[1]).uuids)
        return restore(there, repository, snapshot, indices, prefix, **rest)

    def unanswered(there, repository, snapshot, indices, prefix, **rest):
        gave_up.extend((snapshot, prefix))
        raise SearchAway("the scratch cluster did not answer in time")

    restore, gave_up = acts.restore, []
    monkeypatch.setattr(acts, "restore", unanswered)
    with pytest.raises(SnapshotNotVerified):
        night_flow.nightly_snapshot(fresh, TONIGHT)
    monkeypatch.setattr(acts, "restore", restored_at_last)
    assert night_flow.nightly_snapshot(fresh, TONIGHT).verdict is Verdict.VERIFIED
    with open_search(settings, fresh.scratch_cluster, "restore") as there:
        assert late
        assert not acts.capture.restored_indices(there, "proof-")
