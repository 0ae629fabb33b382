from datetime import UTC, date, datetime

import pytest

from steward.snapshots.checked import Attempt, Plan
from steward.snapshots.estimating import (
    ASSUMED,
    MIB,
    NIGHTS,
    RUN_SECONDS,
    Estimate,
    Sizes,
    StageEstimate,
    estimate_night,
)
from steward.snapshots.plan_page import render_plan
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import SnapshotReport, TenantProof
from steward.snapshots.stages import Stage
from steward.verdicts import Verdict

AT = datetime(2025, 7, 31, 1, 30, tzinfo=UTC)
POLICY = SnapshotPolicy(blobs=False, offsite=False)
HELD = Sizes(tenants=10, bytes=1000 * MIB, shards=20, documents=1_000_000)
PLANNED = Sizes(tenants=2, bytes=200 * MIB, shards=4, documents=200_000)
ATTEMPT = Attempt(cluster="production", night=AT.date(), attempt=1, moment=1, snapshot="n", started_at=AT)


def night(*stages, verdict=Verdict.VERIFIED, tenants=2):
    return SnapshotReport(
        cluster="production",
        repository="nightly",
        snapshot="n",
        night=AT.date(),
        attempt=1,
        verdict=verdict,
        started_at=AT,
        ended_at=AT,
        stages=list(stages),
        tenants=[TenantProof(tenant=f"t{i}", verdict=Verdict.VERIFIED) for i in range(tenants)],
    )


def seconds(estimate):
    return {stage.name: stage.seconds for stage in estimate.stages}


def restored(mib_per_second):
    return night(Stage(name="restore", seconds=100, bytes=100 * mib_per_second * MIB))


def test_restores_take_by_bytes_contents_by_documents_and_definitions_by_tenants():
    past = night(
        Stage(name="restore", seconds=4, bytes=100 * MIB),
        Stage(name="compare contents", seconds=3, documents=100_000),
        Stage(name="compare definitions", seconds=1),
    )
    made = estimate_night(POLICY, HELD, PLANNED, [past])
    assert (seconds(made)["restore"], seconds(made)["compare contents"], seconds(made)["compare definitions"]) == (
        8,
        6,
        1,
    )
    assert {each.nights for each in made.stages if each.name in ("restore", "compare contents")} == {1}


def test_the_median_of_the_last_verified_nights_counts():
    others = [
        restored(1000),
        night(verdict=Verdict.UNKNOWN),
        *[restored(2)] * (NIGHTS - 2),
        restored(50),
        restored(900),
    ]
    made = estimate_night(POLICY, HELD, PLANNED, others)
    assert seconds(made)["restore"] == 100
    assert next(each.nights for each in made.stages if each.name == "restore") == NIGHTS


def test_nights_that_are_not_verified_measure_nothing():
    failed = restored(1).model_copy(update={"verdict": Verdict.REFUTED})
    assert estimate_night(POLICY, HELD, PLANNED, [failed]) == estimate_night(POLICY, HELD, PLANNED, [])


def test_what_depends_on_changes_takes_as_long_as_the_last_nights_and_a_first_night_takes_all():
    past = night(Stage(name="snapshot", seconds=7, bytes=3))
    assert seconds(estimate_night(POLICY, HELD, PLANNED, [past]))["snapshot"] == 7
    first = seconds(estimate_night(POLICY, HELD, PLANNED, []))["snapshot"]
    assert first == pytest.approx(HELD.bytes / ASSUMED["snapshot"].amount, abs=0.1)


def test_a_stage_that_the_policy_leaves_out_is_not_estimated():
    assert {"blobs", "copy", "copy-proof"} & seconds(estimate_night(POLICY, HELD, PLANNED, [])).keys() == set()
    every = estimate_night(SnapshotPolicy(), HELD, PLANNED, [])
    assert list(seconds(every)) == list(ASSUMED)


def test_the_proof_of_a_copy_takes_no_more_than_may_be_restored():
    few = SnapshotPolicy(restore_bytes=10 * MIB)
    proof = seconds(estimate_night(few, HELD, PLANNED, []))["copy-proof"]
    assert proof == pytest.approx(10 * MIB / ASSUMED["copy-proof"].amount, abs=0.1)


def test_workers_share_what_is_done_per_tenant_and_nothing_else():
    stages = [StageEstimate(name="snapshot", seconds=10, nights=1), StageEstimate(name="restore", seconds=80, nights=1)]
    made = Estimate(stages=stages)
    assert (made.seconds, made.seconds_with(4)) == (90, 30)


def test_more_workers_than_scratch_nodes_restore_no_faster_and_every_run_takes_its_start():
    stages = [StageEstimate(name=name, seconds=80, nights=1) for name in ("restore", "compare contents")]
    made = Estimate(stages=stages, scratch_nodes=2, runs=8)
    assert made.seconds_with(8) == 40 + 10 + RUN_SECONDS
    assert made.seconds_with(1) == 160 + 8 * RUN_SECONDS


def test_workers_beyond_the_runs_of_a_batch_are_idle():
    stages = [StageEstimate(name="compare contents", seconds=80, nights=1)]
    made = Estimate(stages=stages, runs=8, waves=4)
    assert made.seconds_with(8) == made.seconds_with(2) == 40 + 4 * RUN_SECONDS


def tenant(name, size=5):
    return TenantSize(tenant=name, indices=[name], bytes=size, shards=2, documents=7, proved=date(2025, 7, 30))


def plan(*, parts=(), hours=0.01):
    tenants = [tenant(f"t{i:02}", 100 - i) for i in range(30)]
    estimate = Estimate(stages=[StageEstimate(name="restore", seconds=3600 * hours, nights=3)])
    return Plan(tenants=[*tenants, tenant("other")], batches=[tenants], parts=list(parts), estimate=estimate)


def test_the_plan_shows_sizes_before_anything_runs():
    page = render_plan(POLICY, ATTEMPT, plan())
    assert "30 of 31 tenants are proved, in 1 batch by this run" in page
    assert "| proved tonight | 30 | 2,565 | 60 | 210 |" in page
    assert "| restore | 36.0 | the last 3 VERIFIED nights |" in page
    assert "and 10 more" in page
    assert "WARNING" not in page


def test_a_plan_that_is_longer_than_a_night_says_what_to_do():
    assert "WARNING: that is more than the 4 h 0 min of a night" in render_plan(POLICY, ATTEMPT, plan(hours=5))
    shared = [[[f"t{i:02}"] for i in range(30)]]
    page = render_plan(POLICY, ATTEMPT, plan(parts=shared, hours=5))
    assert "Estimated: 5 h 0 min with 1, 2 h 30 min with 2" in page
    assert "WARNING" not in page


def test_what_no_night_has_measured_is_said_to_be_assumed():
    first = plan().model_copy(update={"estimate": estimate_night(POLICY, HELD, PLANNED, [])})
    assert "assumption: no night has measured it" in render_plan(POLICY, ATTEMPT, first)
