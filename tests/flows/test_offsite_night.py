"""The off-site copy of a night and its proof, as steps of an operation, on real servers."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from flows.nightly_snapshot import nightly_snapshot
from replica import inventory
from replica.elasticsearch import configuration
from steward.clients.elasticsearch import open_search
from steward.clients.offsite_bucket import OffsiteBucket, open_offsite_bucket
from steward.clients.postgres import connect
from steward.clients.snapshot_blobs import forget_copies, keep_copies, manifest_of
from steward.errors import StewardError
from steward.operations.effects import note_effects
from steward.operations.errors import Superseded
from steward.operations.ledger import Ledger
from steward.repository.copying import LockMode, blob_key, root_of
from steward.settings import Snapshots, load
from steward.snapshots import capture, catalogue
from steward.snapshots.checked import Attempt, Plan
from steward.snapshots.offsite_report import OffsiteCopied
from steward.snapshots.offsite_restoring import register
from steward.snapshots.report import SnapshotNotVerified
from steward.snapshots.taking import SnapshotTaken
from steward.verdicts import Verdict
from tasks import offsite
from tasks.offsite_place import STAGED, CannotRegister, check_place
from tests.flows.offsite_night_ground import (
    copy,
    data_path,
    known,
    operation,
    places,
    prove,
    registered_by,
    repositories,
    snapshots_of,
    staging_of,
)
from tests.flows.prefect_server import recording_in
from tests.nights import forget_nights
from tests.watching.ground import written

TONIGHT = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def night(replica, ground):
    """One VERIFIED night, and all that its steps handed on."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in inventory.environment(replica).items():
            patch.setenv(name, value)
        settings = load()
        forget_nights(settings, ground)
        with open_search(settings, ground.cluster, "tenants") as writer:
            # Nobody writes here, and nothing is left to be merged between two nights.
            writer.request("POST", "/tenant-*/_forcemerge?max_num_segments=1")
        with recording_in(replica):
            report = nightly_snapshot(ground, TONIGHT)
        with connect(settings) as db:
            steps = dict(db.execute("select name, result from steward.operation_steps where state = 'done'").fetchall())
        with open_search(settings, ground.cluster, "snapshot") as source:
            definitions = capture.capture_definitions(source, ground.indices)
        with connect(settings) as db:
            # They are forgotten with the verdict.
            for moment in ("before", "after"):
                catalogue.keep_expectations(db, ground.cluster, report.snapshot, moment, definitions)
        copied = OffsiteCopied.model_validate(steps["copy_offsite"])
        with open_offsite_bucket(settings) as bucket:
            document = offsite.read_document(bucket, copied.manifest_key, copied.manifest_version)
        taken = SnapshotTaken.model_validate(steps["create_snapshot"])
        yield SimpleNamespace(
            policy=ground,
            settings=settings,
            report=report,
            taken=taken,
            plan=Plan.model_validate(steps["check_preconditions"]),
            attempt=Attempt.model_validate(steps["begin_attempt"]).model_copy(update={"snapshot": taken.name}),
            copied=copied,
            document=document,
            digests={index.name: index.digest for index in document.indices if index.digest},
        )


@pytest.fixture
def steps(in_replica, monkeypatch):
    """Steps run without a flow, and nobody looks at their progress."""
    monkeypatch.setattr(offsite, "progress_bar", lambda _key, _description: lambda _done, _of: None)


@pytest.fixture
def at_work(steps, night):
    """Steps run as one more operation's; what it leaves is told."""
    with operation(night.settings) as held:
        yield held


def test_a_night_copies_all_that_its_snapshot_needs_and_proves_the_copy(night):
    report = night.report
    assert (report.verdict, report.copied.verdict, report.copy_proved.verdict) == (Verdict.VERIFIED,) * 3
    with connect(night.settings) as db:
        manifest = manifest_of(db, night.policy.cluster, report.snapshot)
    assert [dataclasses_of(e) for e in night.document.blobs.entries] == [
        dataclasses_of(e) for e in sorted(manifest.entries, key=lambda e: e.path)
    ]
    assert {path: each.version for path, each in known(night).items()} == {
        e.path: e.version for e in night.document.blobs.entries
    }
    assert set(report.copy_proved.tenants) == {t.tenant for t in report.tenants if t.verdict}
    assert {index.aliases for index in night.document.indices} >= {
        (f"tenant-{name}",) for name in report.copy_proved.tenants
    }
    assert {index.digest for index in night.document.indices if index.digest} == {
        f"{c.algorithm}:{index.documents}:{c.digest}"
        for c in report.copies
        for index in night.document.indices
        if index.name == c.index
    }
    assert repositories(night) == ({"nightly"}, set())
    assert list(configuration.staging(SimpleNamespace(state=staging_of(night).parent)).iterdir()) == []


def dataclasses_of(entry):
    return entry.path, entry.bytes, entry.sha256


def test_a_copy_that_is_made_again_writes_nothing(night, at_work):
    copied = copy(night)
    assert (copied.uploaded, copied.kept, copied.verdict) == (0, copied.entries, Verdict.VERIFIED)
    assert (copied.manifest_key, copied.manifest_version) == (night.copied.manifest_key, night.copied.manifest_version)
    assert copied.looked_at == copied.entries


def test_what_is_not_on_record_any_more_is_found_by_its_bytes(night, at_work):
    with connect(night.settings) as db:
        db.execute("truncate steward.snapshot_copies")
    copied = copy(night)
    assert copied.verdict is Verdict.VERIFIED
    assert copied.manifest_version == night.copied.manifest_version
    assert {path: each.version for path, each in known(night).items()} == {
        e.path: e.version for e in night.document.blobs.entries
    }


def test_copies_that_no_snapshot_needs_any_more_are_forgotten_once_their_lock_has_ended(night, at_work):
    copy_of_old = next(iter(known(night).values()))
    over = dataclasses.replace(copy_of_old, locked_until=datetime.now(UTC) - timedelta(days=1))
    with connect(night.settings) as db:
        old = {"indices/old/0/__over": over, "indices/old/0/__locked": copy_of_old}
        keep_copies(db, night.copied.repository_uuid, old)
    assert copy(night).verdict is Verdict.VERIFIED
    assert known(night).keys() - {e.path for e in night.document.blobs.entries} == {"indices/old/0/__locked"}
    with connect(night.settings) as db:
        forget_copies(db, night.copied.repository_uuid, old)


def test_a_copy_without_a_manifest_says_what_is_lacking(night, at_work):
    absent = night.taken.model_copy(update={"name": "nightly-never"})
    with pytest.raises(StewardError, match="no manifest of nightly-never") as raised:
        offsite.copy_offsite.fn(night.policy, night.attempt, absent, {})
    assert "check blobs" in raised.value.hint


def test_the_proof_needs_the_copy_alone(night, at_work):
    folder = night.settings.snapshots.repositories["nightly"].path
    away = folder.with_name("repository-away")
    shutil.move(folder, away)
    try:
        proved = prove(night)
    finally:
        shutil.move(away, folder)
    assert proved.verdict is Verdict.VERIFIED
    assert proved.documents == night.report.copy_proved.documents > 0
    assert proved.fetched == len(night.document.blobs.entries)
    assert at_work.left() == []
    assert repositories(night) == ({"nightly"}, set())


def test_a_small_disk_proves_the_oldest_proof_first_and_never_nobody(night, at_work):
    # Tonight both were proved, so names decide: one byte is room for one that is never left out.
    (first, *_) = sorted(night.report.copy_proved.tenants)
    proved = prove(night, offsite_proof_bytes=1)
    assert proved.tenants == (first,)
    assert proved.verdict is Verdict.VERIFIED
    assert 0 < proved.fetched_bytes < night.report.copy_proved.fetched_bytes


def test_whose_copy_was_proved_by_a_later_night_waits_for_others(night, at_work):
    first, second = sorted(night.report.copy_proved.tenants)
    proved = night.report.copy_proved.model_copy(update={"tenants": (first,)})
    changes = {"snapshot": "nightly-later", "night": TONIGHT + timedelta(days=1), "copy_proved": proved}
    with connect(night.settings) as db:
        catalogue.keep_report(db, night.report.model_copy(update=changes))
    try:
        assert prove(night, offsite_proof_bytes=1).tenants == (second,)
    finally:
        with connect(night.settings) as db:
            db.execute("delete from steward.snapshot_nights where snapshot = 'nightly-later'")


def test_a_damaged_copy_refutes_and_goes_up_anew_the_next_night(night, steps, monkeypatch):
    path, whole = data_path(night), OffsiteBucket.chunks

    def damaged(self, key, version):
        body = b"".join(whole(self, key, version))
        yield bytes([body[0] ^ 1]) + body[1:] if key.endswith(path) else body

    before = known(night)[path]
    with operation(night.settings), monkeypatch.context() as patch:
        patch.setattr(OffsiteBucket, "chunks", damaged)
        proved = prove(night)
    (found,) = proved.findings
    assert proved.verdict is Verdict.REFUTED
    assert found.subject.endswith(f"[{path}]")
    assert found.subject.split("[")[0] in night.digests
    assert before.version in found.fact
    # The other tenant's was whole.
    assert len(proved.tenants) == len(night.report.copy_proved.tenants) - 1
    with operation(night.settings):
        copied = copy(night)
    assert (copied.uploaded, copied.verdict) == (1, Verdict.VERIFIED)
    assert known(night)[path].version != before.version
    with operation(night.settings):
        assert prove(night, copied).verdict is Verdict.VERIFIED


def test_a_document_that_is_gone_or_another_snapshots_refutes(night, steps):
    with operation(night.settings):
        gone = night.copied.model_copy(update={"manifest_version": "0" * 32})
        (found,) = prove(night, gone).findings
    assert (found.verdict, found.subject) == (Verdict.REFUTED, night.copied.manifest_key)
    with operation(night.settings):
        other = night.copied.model_copy(update={"manifest_sha256": "0" * 64})
        (found,) = prove(night, other).findings
    assert "expected " + "0" * 64 in found.fact
    with operation(night.settings):
        taken = night.taken.model_copy(update={"uuid": "another"})
        proved = offsite.prove_copy.fn(night.policy, night.attempt, night.plan, taken, night.copied, night.digests)
    assert "expected" in proved.findings[0].fact


def test_a_night_that_compared_nothing_proves_nothing_of_its_copy(night, at_work):
    proved = offsite.prove_copy.fn(night.policy, night.attempt, night.plan, night.taken, night.copied, {})
    assert (proved.verdict, proved.tenants) == (Verdict.UNKNOWN, ())


def test_what_a_dead_try_made_is_removed_and_what_it_fetched_is_gone_on_with(night, at_work, monkeypatch):
    real = offsite.prove

    def dies(*args, **kwargs):
        note_effects(STAGED, ["offsite-of-old"])
        (staging_of(night) / "offsite-of-old").mkdir()
        real(*args, **kwargs)
        raise StewardError("died")

    with monkeypatch.context() as patch:
        patch.setattr(offsite, "prove", dies)
        with pytest.raises(StewardError, match="died"):
            prove(night)
    held, copies = repositories(night)
    assert len(held) == 2
    assert copies
    proved = prove(night)
    assert (proved.verdict, proved.fetched) == (Verdict.VERIFIED, 0)
    assert at_work.left() == []
    assert repositories(night) == ({"nightly"}, set())
    assert list(staging_of(night).iterdir()) == []


def test_what_a_late_call_registered_after_all_is_taken_away(night, at_work):
    prove(night)
    (name,) = registered_by(at_work.held)
    with open_search(night.settings, night.policy.scratch_cluster, "restore") as there:
        register(
            there, name, {"type": "fs", "settings": {"location": str(staging_of(night) / name), "readonly": "true"}}
        )
    second = night.attempt.model_copy(update={"moment": 2})
    offsite.prove_copy.fn(night.policy, second, night.plan, night.taken, night.copied, night.digests)
    assert repositories(night) == ({"nightly"}, set())


def test_a_superseded_run_fetches_and_registers_nothing_more(night, steps, monkeypatch):
    read = offsite.read_document

    with operation(night.settings) as at_work:

        def taken_over(*asked):
            book = Ledger(night.settings)
            book.query("update steward.operations set token = token + 1 where id = %(id)s", id=at_work.held.id)
            book.close()
            return read(*asked)

        monkeypatch.setattr(offsite, "read_document", taken_over)
        with pytest.raises(Superseded):
            prove(night)
    assert repositories(night) == ({"nightly"}, set())
    assert list(staging_of(night).iterdir()) == []


def refused(night, tmp_path, monkeypatch, policy=None, **snapshots):
    """The error of a place that is not fit, with these settings or that policy."""
    told = night.settings.snapshots.model_dump() | snapshots
    changed = night.settings.model_copy(update={"snapshots": Snapshots.model_validate(told)})
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(changed, tmp_path)))
    with places(night) as (source, there), pytest.raises(StewardError) as raised:
        check_place(night.policy.model_copy(update=policy or {}), source, there)
    assert raised.value.hint
    return raised.value


def test_a_fit_place_is_taken(night, at_work):
    with places(night) as (source, there):
        check_place(night.policy, source, there, 1 << 20)


def test_unfit_places_are_told_before_anything_is_touched(night, at_work, tmp_path, monkeypatch):
    told = [
        refused(night, tmp_path, monkeypatch, {"offsite_lock_days": 29}),
        refused(night, tmp_path, monkeypatch, {"blobs": False}),
        refused(night, tmp_path, monkeypatch, offsite={"bucket": night.settings.objects.backup_bucket}),
        refused(night, tmp_path, monkeypatch, offsite={"bucket": "no-such-bucket"}),
        refused(night, tmp_path, monkeypatch, offsite=None),
        refused(night, tmp_path, monkeypatch, staging=None),
        refused(night, tmp_path, monkeypatch, staging={"kind": "fs", "path": tmp_path / "absent"}),
        refused(night, tmp_path, monkeypatch, {"cluster": "renamed"}),
    ]
    assert [type(each).__name__ for each in told] == [
        "LockTooShort",
        "BadInput",
        "BucketWithoutLock",
        "BucketMissing",
        "OffsitePlaceUnnamed",
        "StagingUnnamed",
        "BadInput",
        "CopyOfAnother",
    ]


def test_a_user_that_may_not_register_is_told_so(night, at_work):
    with (
        open_search(night.settings, night.policy.cluster, "snapshot") as source,
        open_search(night.settings, night.policy.scratch_cluster, "monitoring") as there,
        pytest.raises(CannotRegister, match="lacks cluster:admin/repository/delete") as raised,
    ):
        check_place(night.policy, source, there)
    assert "steward_restore" in raised.value.hint


def test_the_next_night_renews_and_uploads_what_is_new_only(night, in_replica):
    root = root_of(night.policy.cluster, night.copied.repository_uuid)
    with connect(night.settings) as db:
        # As if a week had passed.
        copies = {
            path: dataclasses.replace(each, locked_until=each.locked_until - timedelta(days=8))
            for path, each in known(night).items()
        }
        keep_copies(db, night.copied.repository_uuid, copies)
    with recording_in(in_replica):
        report = nightly_snapshot(night.policy, TONIGHT - timedelta(days=1))
    assert report.copied.verdict is Verdict.VERIFIED
    assert 0 < report.copied.uploaded < report.copied.entries
    assert report.copied.renewed == report.copied.entries - report.copied.uploaded
    with open_offsite_bucket(night.settings) as bucket:
        for path, copy_ in known(night).items():
            if path in {e.path for e in night.document.blobs.entries} and "/__" in path:
                state = bucket.state(blob_key(root, path), copy_.version)
                assert state.mode is LockMode.COMPLIANCE
                assert state.locked_until == copy_.locked_until


def test_a_night_with_an_unfit_place_is_unknown_and_takes_nothing(night, in_replica):
    before = snapshots_of(night)
    with recording_in(in_replica), pytest.raises(SnapshotNotVerified) as raised:
        nightly_snapshot(night.policy.model_copy(update={"offsite_lock_days": 29}), TONIGHT - timedelta(days=2))
    assert raised.value.verdict is Verdict.UNKNOWN
    assert "locked for 29 days, and snapshots are kept for 30" in str(raised.value)
    assert snapshots_of(night) == before


def test_a_lost_copy_refutes_the_night_and_the_one_after_it_is_whole_again(night, in_replica):
    # On record is a version that is not in the bucket.
    path = data_path(night)
    with connect(night.settings) as db:
        keep_copies(db, night.copied.repository_uuid, {path: dataclasses.replace(known(night)[path], version="0" * 32)})
    with recording_in(in_replica), pytest.raises(SnapshotNotVerified) as raised:
        nightly_snapshot(night.policy, TONIGHT - timedelta(days=3))
    report = raised.value.report
    assert (report.verdict, report.copied.verdict, report.copy_proved.verdict) == ("REFUTED", "REFUTED", "VERIFIED")
    assert report.expired == {}
    assert path in raised.value.message
    assert "is gone, which was locked until" in raised.value.message
    with recording_in(in_replica):
        assert nightly_snapshot(night.policy, TONIGHT - timedelta(days=3)).verdict is Verdict.VERIFIED
