from datetime import UTC, date, datetime

import pytest

from steward.errors import BadInput, Unavailable
from steward.snapshots.checked import Checked, Plan
from steward.snapshots.content import IndexContent
from steward.snapshots.errors import PointInTimeLost
from steward.snapshots.findings import refuted
from steward.snapshots.moments import Moment, Moments
from steward.snapshots.parts import TenantsNotProved, TenantsProved, TenantsRequest, failed_check, narrowed
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.stages import Stage
from steward.snapshots.taking import SnapshotTaken
from steward.verdicts import Verdict

POLICY = SnapshotPolicy()


def size(name):
    return TenantSize(tenant=name, indices=[f"tenant-{name}-000001"], bytes=5, proved=date(2025, 7, 30))


def request(*tenants, batch=0):
    return TenantsRequest(policy=POLICY, operation=7, round=1, moment=1, batch=batch, tenants=list(tenants))


def content(name, **changes):
    parts = {"index": f"tenant-{name}-000001", "documents": 9, "bytes": 9, "digest": "a:9:d", "unchanged": 9}
    return IndexContent.model_validate(parts | changes)


def moments(*names):
    at = datetime(2025, 7, 31, tzinfo=UTC).timestamp()
    figures = {"complete": 1, "ceiling": 1, "term": 1, "node": "n", "began": at, "ended": at}
    figures |= {"began_monotonic": 1.0, "ended_monotonic": 1.0}
    return Moments(moments=[Moment(index=f"tenant-{n}-000001", shard=0, pit=f"p-{n}", **figures) for n in names])


def test_runs_of_a_night_have_subjects_of_their_own_below_the_clusters():
    assert request("acme").subject == "production/acme"
    assert request("acme", "bolt", "cord").subject == "production/acme and 2 more"


def test_a_run_takes_its_tenants_from_its_batch_of_the_plan_and_from_nowhere_else():
    plan = Plan(tenants=[], batches=[[size("acme"), size("bolt")], [size("cord")]])
    assert [each.tenant for each in request("bolt").sizes(plan)] == ["bolt"]
    for wrong in (request("cord"), request("acme", batch=2)):
        with pytest.raises(BadInput, match="is not in batch"):
            wrong.sizes(plan)


def test_a_run_keeps_open_and_compares_its_own_tenants_alone():
    counts = dict.fromkeys(("shards", "bytes", "files", "incremental_bytes", "incremental_files"), 1)
    taken = SnapshotTaken(
        repository="nightly",
        name="n",
        uuid="u",
        started_at=1,
        ended_at=2,
        indices=["tenant-acme-000001", "tenant-bolt-000001"],
        upload_seconds=1,
        before=moments("acme", "bolt"),
        moments=moments("acme", "bolt"),
        **counts,
    )
    own = narrowed(taken, [size("bolt")])
    assert (own.before.pits, own.moments.pits) == (["p-bolt"], ["p-bolt"])


def test_an_error_says_nothing_against_a_tenant_and_nothing_for_it():
    told = failed_check(["acme", "bolt"], Unavailable("scratch is away", hint="mend it"))
    assert [str(each) for each in told.findings] == [
        "UNKNOWN: tenant acme: could not be proved: scratch is away",
        "UNKNOWN: tenant bolt: could not be proved: scratch is away",
    ]
    assert not told.moment_lost
    assert failed_check(["acme"], PointInTimeLost("gone")).moment_lost


def test_what_is_not_ours_is_told_by_its_type():
    [finding] = failed_check(["acme"], RuntimeError("password=hunter2")).findings
    assert finding.fact == "could not be proved: RuntimeError: see the run's log"


def test_a_run_is_verified_when_all_that_it_compared_is_and_refuted_by_one_finding():
    equal = Checked(stage=Stage(name="compare contents", seconds=1), contents=[content("acme")])
    lost = Checked(findings=[refuted("tenant-acme-000001", "alias a is lost")])
    failed = failed_check(["acme"], Unavailable("away"))

    def verdict(*checks):
        return TenantsProved(snapshot="n", tenants=["acme"], checks=list(checks)).verdict

    assert verdict(equal) is Verdict.VERIFIED
    assert verdict(equal, failed) is Verdict.UNKNOWN
    assert verdict(equal, lost, failed) is Verdict.REFUTED
    assert verdict() is Verdict.UNKNOWN


def test_a_run_that_found_something_names_the_worst_of_it():
    lost = Checked(findings=[refuted("tenant-acme-000001", "alias a is lost")])
    error = TenantsNotProved(
        TenantsProved(snapshot="n", tenants=["acme"], checks=[failed_check(["acme"], Unavailable("away")), lost])
    )
    assert error.message == "acme of n: REFUTED: tenant-acme-000001: alias a is lost"
    assert error.verdict is Verdict.REFUTED
