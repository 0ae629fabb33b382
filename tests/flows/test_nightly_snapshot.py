"""The whole night on real servers, run as the worker runs it, without the worker."""

import re
from datetime import UTC, datetime, timedelta

import pytest

import flows.nightly_snapshot as night_flow
from demo.tenants import largest_tenants
from demo.writers import writing
from flows.nightly_snapshot import nightly_snapshot
from replica.elasticsearch import configuration
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.errors import BadInput, Unavailable
from steward.evidence.store import list_statements
from steward.operations.claims import Identity, claim, release
from steward.operations.holding import holding
from steward.operations.ledger import Ledger
from steward.snapshots import catalogue
from steward.snapshots.moments import close_points_in_time
from steward.snapshots.report import SnapshotNotVerified
from steward.verdicts import Verdict
from tasks import night_plan
from tasks import snapshots as acts
from tests.flows.prefect_server import artifact
from tests.integration.fresh_database import changed
from tests.nights import DOCUMENTS
from tests.watching.ground import written

TONIGHT = datetime.now(UTC).date()


@pytest.fixture
def fresh(fresh):
    """Without what blobs and the copy take: other tests are about these, and one here is about all."""
    return fresh.model_copy(update={"blobs": False, "offsite": False})


def snapshots(settings, policy):
    with open_search(settings, policy.cluster, "snapshot") as source:
        return [s["snapshot"] for s in source.request("GET", f"/_snapshot/{policy.repository}/nightly-*")["snapshots"]]


def statement(settings, attempt):
    with connect(settings) as db:
        found = list_statements(db, "nightly-snapshot", period=str(TONIGHT))
    return next(each for each in found if each.attempt == attempt)


def unproved(policy, night=TONIGHT):
    """The error of a night that must end UNKNOWN."""
    with pytest.raises(SnapshotNotVerified) as raised:
        nightly_snapshot(policy, night)
    assert raised.value.verdict is Verdict.UNKNOWN
    return str(raised.value)


def last_report(settings, policy):
    with connect(settings) as db:
        return catalogue.history(db, policy.cluster)[0]


def test_a_night_under_live_writes_is_verified_and_proves_every_tenant_blob_and_copy(fresh, settings):
    with writing(settings, largest_tenants(2), rate=200):
        report = nightly_snapshot(fresh.model_copy(update={"blobs": True, "offsite": True}), TONIGHT)
    assert report.verdict is Verdict.VERIFIED
    assert report.blobs.manifest.entries == report.copied.uploaded > 0
    assert sorted(report.copy_proved.tenants) == sorted(fresh.tenants)
    assert [tenant.verdict for tenant in report.tenants if tenant.verdict] == [Verdict.VERIFIED] * 2
    assert all(tenant.proof_age_nights == 0 and tenant.digest for tenant in report.tenants if tenant.verdict)
    # The writers delete, too.
    assert report.documents > DOCUMENTS * 0.9
    assert set(report.golden_matches) == {"full text", "keyword"}
    assert report.rto_seconds > 0
    assert snapshots(settings, fresh) == [report.snapshot]
    assert statement(settings, report.attempt).verdict is Verdict.VERIFIED


def test_a_verified_night_is_not_taken_twice(fresh, settings):
    with open_search(settings, fresh.cluster, "snapshot") as source:
        # What writers of another test wrote last counts for the plan once it can be found.
        source.request("POST", "/tenant-*/_refresh")
    first = nightly_snapshot(fresh, TONIGHT)
    # Nobody writes: what is compared is what the plan counted before anything ran.
    [planned] = [line for line in artifact("snapshot-plan").splitlines() if line.startswith("| proved tonight |")]
    assert planned.endswith(f"| 2 | {first.documents:,} |")
    assert nightly_snapshot(fresh, TONIGHT) == first
    assert snapshots(settings, fresh) == [first.snapshot]


def test_small_batches_prove_the_same_tenants_one_after_the_other(fresh, settings, monkeypatch):
    plan, restore, batches = night_plan.plan_batches, night_flow.restore_batch, []

    def with_room_for_either_but_not_for_both(tenants, _):
        # Of the sizes that the night itself saw: segments are merged, and sizes change, until it looks.
        held = [tenant.bytes for tenant in tenants]
        return plan(tenants, max(held) + min(held) // 2)

    def restore_and_note(policy, attempt, taken, number, batch):
        batches.append([tenant.tenant for tenant in batch])
        return restore(policy, attempt, taken, number, batch)

    monkeypatch.setattr(night_plan, "plan_batches", with_room_for_either_but_not_for_both)
    monkeypatch.setattr(night_flow, "restore_batch", restore_and_note)
    report = nightly_snapshot(fresh, TONIGHT)
    assert report.verdict is Verdict.VERIFIED
    assert sorted(batches) == sorted([name] for name in fresh.tenants)


def test_the_previous_verified_snapshot_measures_the_rpo_and_outlives_an_unknown_night(fresh, settings):
    yesterday = nightly_snapshot(fresh, TONIGHT - timedelta(days=1))
    unproved(fresh.model_copy(update={"tenants": ["nobody"]}))
    assert snapshots(settings, fresh) == [yesterday.snapshot]
    tonight = nightly_snapshot(fresh, TONIGHT)
    assert tonight.rpo_seconds == pytest.approx((tonight.taken_at - yesterday.taken_at).total_seconds())
    assert sorted(snapshots(settings, fresh)) == sorted([yesterday.snapshot, tonight.snapshot])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tenants": ["nobody"]}, "unknown tenant 'nobody'"),
        ({"repository": "weekly"}, "unknown repository 'weekly'"),
        ({"cluster": "elsewhere"}, "unknown search cluster 'elsewhere'"),
        # Below what the form allows, so that two small tenants are too large for it.
        ({"restore_bytes": 1_000}, "the policy restores at most 1,000"),
    ],
)
def test_bad_input_is_unknown_before_anything_is_touched(fresh, settings, change, said):
    policy = fresh.model_copy(update=change)
    assert said in unproved(policy)
    assert snapshots(settings, fresh) == []
    assert said in last_report(settings, policy).error
    assert "HINT:" in last_report(settings, policy).error


def test_an_undecidable_share_above_the_bound_is_unknown(fresh, settings):
    with writing(settings, largest_tenants(2), rate=400):
        try:
            report = nightly_snapshot(fresh.model_copy(update={"undecided_ppm": 0}), TONIGHT)
        except SnapshotNotVerified:
            report = last_report(settings, fresh)
    assert report.verdict is (Verdict.UNKNOWN if report.undecided else Verdict.VERIFIED)


def test_a_closed_index_is_never_green(fresh, settings):
    index = "tenant-closed-one-000001"
    with open_search(settings, fresh.cluster, "provision") as provision:
        provision.request("PUT", f"/{index}")
        provision.request("POST", f"/{index}/_close")
        try:
            assert f"{index}: is closed" in unproved(fresh.model_copy(update={"tenants": []}))
        finally:
            provision.request("DELETE", f"/{index}")


def test_a_night_out_of_reach_is_refused(fresh):
    with pytest.raises(BadInput, match="has not come"):
        nightly_snapshot(fresh, TONIGHT + timedelta(days=2))


def test_two_nights_of_one_cluster_exclude_each_other(fresh, settings, tmp_path, monkeypatch):
    # The second waits for a lease that may lapse.
    hurried = changed(settings, "operations", lease_seconds=2, heartbeat_seconds=0.5)
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(hurried, tmp_path)))
    book = Ledger(hurried)
    other = claim(book, Identity("another", resource=f"elasticsearch/{fresh.cluster}/snapshots"))
    with holding(book, other):
        state = nightly_snapshot(fresh, TONIGHT, return_state=True)
    release(book, other)
    assert (state.name, state.type.value) == ("Skipped", "CANCELLED")
    assert "held by another" in state.message
    assert snapshots(settings, fresh) == []


def test_a_lost_point_in_time_is_cured_by_a_second_snapshot(fresh, settings, monkeypatch):
    take = night_flow.create_snapshot
    lost = []

    def take_and_lose(policy, attempt, plan):
        taken = take(policy, attempt, plan)
        if not lost:
            lost.append(taken.name)
            with open_search(settings, policy.cluster, "snapshot") as source:
                close_points_in_time(source, taken.before.pits)
        return taken

    monkeypatch.setattr(night_flow, "create_snapshot", take_and_lose)
    report = nightly_snapshot(fresh, TONIGHT)
    assert lost
    assert (report.verdict, report.attempt) == (Verdict.VERIFIED, 2)
    assert snapshots(settings, fresh) == [report.snapshot]
    assert report.expired == {lost[0]: f"superseded by {report.snapshot}, a later attempt at the same night"}


def test_a_night_that_fails_after_its_snapshot_was_taken_anew_names_that_snapshot(fresh, settings, monkeypatch):
    take, tried = acts.take_snapshot, []

    def busy_at_first(*args, **kwargs):
        tried.append(args[2])
        if len(tried) == 1:
            raise Unavailable("the repository is busy")
        return take(*args, **kwargs)

    def away(*_):
        raise Unavailable("the scratch cluster is away")

    monkeypatch.setattr(acts, "take_snapshot", busy_at_first)
    monkeypatch.setattr(night_flow, "compare_templates", away)
    unproved(fresh)
    first, second = tried
    assert first != second
    assert last_report(settings, fresh).snapshot == second
    assert snapshots(settings, fresh) == [second]


def lose_alias(scratch, copy):
    scratch.request("DELETE", f"/{copy}/_alias/*")


def change_mapping(scratch, copy):
    scratch.request("PUT", f"/{copy}/_mapping", {"properties": {"never-there": {"type": "keyword"}}})


def change_analyzer(scratch, copy):
    scratch.request("POST", f"/{copy}/_close")
    scratch.request(
        "PUT",
        f"/{copy}/_settings",
        {"analysis": {"analyzer": {"default": {"type": "standard", "max_token_length": 5}}}},
    )
    scratch.request("POST", f"/{copy}/_open?wait_for_active_shards=1")


def lose_index(scratch, copy):
    scratch.request("DELETE", f"/{copy}")


# Those that one copy can have at once, in one night: a night takes four seconds of a processor.
@pytest.mark.parametrize(
    "damages",
    [
        {
            lose_alias: r"alias tenant-\S+ is lost",
            change_mapping: r"mapping changed: properties.never-there is",
            change_analyzer: r"settings changed: index.analysis.analyzer.default\.\S+ is '\w+', expected absent",
        },
        {lose_index: r"expected in the snapshot, not restored"},
    ],
    ids=["changed", "lost"],
)
def test_a_damaged_copy_refutes_the_night_and_each_damage_is_named(fresh, settings, monkeypatch, damages):
    restore = night_flow.restore_batch

    def restore_and_damage(policy, attempt, taken, number, batch):
        restored = restore(policy, attempt, taken, number, batch)
        with open_search(settings, policy.scratch_cluster, "restore") as scratch:
            for damage in damages:
                damage(scratch, next(iter(restored.uuids)))
        return restored

    monkeypatch.setattr(night_flow, "restore_batch", restore_and_damage)
    with pytest.raises(SnapshotNotVerified) as raised:
        nightly_snapshot(fresh, TONIGHT)
    assert raised.value.verdict is Verdict.REFUTED
    report = last_report(settings, fresh)
    for said in damages.values():
        assert any(re.search(said, str(finding)) for finding in report.findings), report.findings
    assert {tenant.verdict for tenant in report.tenants if tenant.verdict} == {Verdict.VERIFIED, Verdict.REFUTED}
    assert statement(settings, report.attempt).verdict is Verdict.REFUTED
    assert report.expired == {}


def test_a_damaged_blob_in_the_repository_refutes_the_night(fresh, replica, settings, monkeypatch):
    restore, damaged = night_flow.restore_batch, {}

    def damage_and_restore(policy, attempt, taken, number, batch):
        blobs = [each for each in configuration.repository(replica).rglob("__*") if each.is_file()]
        blob = max(blobs, key=lambda each: each.stat().st_size)
        damaged[blob] = blob.read_bytes()
        half = len(damaged[blob]) // 2
        blob.write_bytes(damaged[blob][:half] + bytes([damaged[blob][half] ^ 1]) + damaged[blob][half + 1 :])
        return restore(policy, attempt, taken, number, batch)

    monkeypatch.setattr(night_flow, "restore_batch", damage_and_restore)
    try:
        with pytest.raises(SnapshotNotVerified) as raised:
            nightly_snapshot(fresh, TONIGHT)
    finally:
        for blob, content in damaged.items():
            blob.write_bytes(content)
    assert raised.value.verdict is Verdict.REFUTED
    assert any("tenant-" in each.subject for each in last_report(settings, fresh).findings)
