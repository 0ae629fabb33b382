"""A night whose tenants are proved by runs of their own: on two workers, one of which dies; and what its runs may come to."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime

import pytest
from prefect.client.orchestration import get_client

import flows.nightly_snapshot as night_flow
from flows.nightly_snapshot import nightly_snapshot
from flows.prove_tenant import prove_tenant
from steward.clients.elasticsearch import open_search
from steward.clients.elasticsearch_errors import SearchRefused
from steward.operations import claims
from steward.operations.claims import Identity, claim
from steward.operations.effects import left_effects, note_effects
from steward.operations.holding import holding
from steward.operations.ledger import Ledger
from steward.operations.steps import Step, run_step
from steward.settings import load
from steward.snapshots import capture
from steward.snapshots.parts import NightOver, TenantsNotProved, TenantsRequest
from steward.snapshots.policy import FanOut
from steward.snapshots.report import SnapshotNotVerified
from steward.snapshots.restoring import drop_restored
from steward.verdicts import Verdict
from tasks import night_plan
from tasks.children import Child, ChildFailed
from tasks.durable import ledger
from tasks.snapshots import COPIES, PROVE, PROVE_TENANT
from tests.flows.durable_ground import unique, wait_for
from tests.flows.prefect_server import artifact, recording_in
from tests.flows.workers_ground import end, pool_with, runs_of, working
from tests.keyring_ground import query
from tests.watching.ground import hurried, watching, written

TONIGHT = datetime.now(UTC).date()


@pytest.fixture
def policy(fresh):
    """Without what blobs and the copy take: the night itself does these, whoever proves its tenants."""
    return fresh.model_copy(update={"fan_out": FanOut.WORKERS, "blobs": False, "offsite": False})


def night_of(policy):
    """The report, whatever its verdict."""
    try:
        return nightly_snapshot(policy, TONIGHT)
    except SnapshotNotVerified as found:
        return found.report


def left_over(settings, policy):
    """What the night or its runs have noted and not removed, and copies that are there."""
    book = Ledger(settings)
    subjects = [(policy.cluster, "nightly-snapshot")]
    subjects += [(f"{policy.cluster}/{tenant}", PROVE_TENANT) for tenant in policy.tenants]
    left = [each.effect_id for subject, name in subjects for each in left_effects(book, name, subject)]
    book.close()
    with open_search(settings, policy.scratch_cluster, "restore") as scratch:
        return left + list(capture.restored_indices(scratch, "proof-"))


def verdicts(report):
    return {tenant.tenant: tenant.verdict for tenant in report.tenants if tenant.verdict}


def test_tenants_are_proved_on_two_workers_and_nothing_is_lost_when_one_dies(
    policy, replica, settings, monkeypatch, tmp_path
):
    settings_file = written(hurried(settings), tmp_path)
    monkeypatch.setenv("STEWARD_SETTINGS", str(settings_file))
    took: dict[int, set[int]] = {}

    def kill_the_second(first, second):
        """Once each has had a run, and while the second has copies on the scratch cluster."""

        def amidst():
            for worker in (first, second):
                took.setdefault(worker.pid, set()).update(runs_of(worker))
            return took[first.pid] and {int(pid) for (pid,) in query(load(), AT_COPIES)} & took[second.pid]

        wait_for(amidst, "copies made by the second worker's run")
        end(second.pid)

    with (
        recording_in(replica),
        pool_with(prove_tenant, PROVE, unique("proofs"), settings_file) as pool,
        working(replica, pool, tmp_path, "first") as first,
        working(replica, pool, tmp_path, "second") as second,
        watching(replica, settings_file, tmp_path),
    ):
        killer = threading.Thread(target=kill_the_second, args=(first, second))
        killer.start()
        report = night_of(policy.model_copy(update={"blobs": True, "offsite": True}))
        killer.join()
        assert second.wait() == -signal.SIGKILL
    assert (report.verdict, report.attempt, report.error) == (Verdict.VERIFIED, 1, None)
    assert verdicts(report) == dict.fromkeys(policy.tenants, Verdict.VERIFIED)
    parts = query(settings, PARTS)
    assert sorted(subject for subject, _, _ in parts) == sorted(f"{policy.cluster}/{each}" for each in policy.tenants)
    # The run that was killed was taken up by the worker that lives; nobody else's was run twice.
    assert sorted(attempt for _, _, attempt in parts) == [1, 2]
    assert {verdict for _, verdict, _ in parts} == {Verdict.VERIFIED}
    assert all(took.values())
    assert left_over(settings, policy) == []
    assert "by 2 runs that any worker takes" in artifact("snapshot-plan")


AT_COPIES = """
SELECT split_part(o.owner, ':', 2) FROM steward.operations o
  JOIN steward.operation_effects e ON e.operation_id = o.id AND e.token = o.token
 WHERE o.name = 'prove-tenant' AND e.kind = 'copies' AND e.removed_at IS NULL
"""
PARTS = "SELECT subject, verdict, attempt FROM steward.operations WHERE name = 'prove-tenant'"


class HereAndNow:
    """In place of `run_child`: each run in this process, one after the other."""

    def __init__(self, fails=()) -> None:
        self.fails = fails

    def map(self, deployment, parameters, key, period):
        assert (deployment.value, len(set(key))) == (PROVE, len(parameters))
        assert period.value == f"nightly-snapshot production {TONIGHT} round 1 moment {key[0][0]}"
        return [Ended(each["request"], self.fails) for each in parameters]


class Ended:
    def __init__(self, request, fails) -> None:
        self.failed = request["tenants"][0] in fails
        if not self.failed:
            try:
                self.report = prove_tenant(TenantsRequest.model_validate(request))
            except TenantsNotProved as found:
                self.report = found.report

    def result(self):
        if self.failed:
            raise ChildFailed("prove-tenant/prove-tenant ended failed: 5 attempts died", hint="read its log")
        result = self.report.model_dump(mode="json")
        return Child(deployment=PROVE, flow_run_id="", operation_id=1, verdict=self.report.verdict, result=result)


@pytest.fixture
def here(policy, monkeypatch):
    """Runs without workers."""
    monkeypatch.setattr("tasks.night_plan.check_deployed", lambda _: None)

    def run(**how):
        monkeypatch.setattr(night_flow, "run_child", HereAndNow(**how))

    run()
    return run


def test_a_run_that_fails_leaves_its_tenants_unknown_and_the_others_proved(policy, here, settings):
    lost, proved = policy.tenants
    here(fails=[lost])
    report = night_of(policy)
    assert report.verdict is Verdict.UNKNOWN
    assert verdicts(report) == {lost: Verdict.UNKNOWN, proved: Verdict.VERIFIED}
    assert any(f"tenant {lost}: could not be proved: {PROVE} ended failed" in str(each) for each in report.findings)
    assert left_over(settings, policy) == []


def test_a_batch_begins_when_no_copy_of_the_one_before_it_is_left(policy, here, settings, monkeypatch):
    plan, begun = night_plan.plan_batches, []

    class Counting(HereAndNow):
        def map(self, deployment, parameters, key, period):
            with open_search(settings, policy.scratch_cluster, "restore") as scratch:
                begun.append((len(parameters), capture.restored_indices(scratch, "proof-")))
            return super().map(deployment, parameters, key, period)

    def with_room_for_either_but_not_for_both(tenants, _):
        held = [tenant.bytes for tenant in tenants]
        return plan(tenants, max(held) + min(held) // 2)

    monkeypatch.setattr(night_plan, "plan_batches", with_room_for_either_but_not_for_both)
    monkeypatch.setattr(night_flow, "run_child", Counting())
    report = night_of(policy)
    assert (report.verdict, begun) == (Verdict.VERIFIED, [(1, {}), (1, {})])
    assert "in 2 batches by 2 runs" in artifact("snapshot-plan")


def test_what_a_run_found_wrong_refutes_the_night_whatever_stops_that_run_then(policy, here, settings, monkeypatch):
    wrong, _ = policy.tenants
    restore = night_flow.restore_batch

    def restore_and_damage(policy, attempt, taken, number, batch):
        restored = restore(policy, attempt, taken, number, batch)
        if batch[0].tenant == wrong:
            with open_search(settings, policy.scratch_cluster, "restore") as scratch:
                scratch.request("DELETE", f"/{next(iter(restored.uuids))}/_alias/*")
        return restored

    def refused(*_):
        raise SearchRefused("the search was refused")

    monkeypatch.setattr(night_flow, "restore_batch", restore_and_damage)
    monkeypatch.setattr(night_flow, "run_golden_queries", refused)
    report = night_of(policy)
    assert report.verdict is Verdict.REFUTED
    assert verdicts(report)[wrong] is Verdict.REFUTED
    assert any("is lost" in each.fact for each in report.findings)
    assert any("could not be proved: the search was refused" in each.fact for each in report.findings)
    assert left_over(settings, policy) == []


def test_a_lost_point_in_time_in_a_run_is_cured_by_a_second_snapshot(policy, here, settings, monkeypatch):
    """Of copies that somebody of ours cleared away: they are not taken for lost ones, which would refute the snapshot."""
    compare, cleared = night_flow.compare_contents, []

    def clear_and_compare(policy, taken, restored):
        if not cleared:
            cleared.append(restored.prefix)
            ledger().query(
                "UPDATE steward.operation_effects SET removed_at = now() WHERE effect_id = %(id)s", id=restored.prefix
            )
            with open_search(settings, policy.scratch_cluster, "restore") as scratch:
                drop_restored(scratch, restored.uuids)
        return compare(policy, taken, restored)

    monkeypatch.setattr(night_flow, "compare_contents", clear_and_compare)
    report = night_of(policy)
    assert (report.verdict, report.attempt) == (Verdict.VERIFIED, 2)


def test_what_a_run_that_failed_left_is_removed_before_the_next_batch(policy, here, settings, monkeypatch):
    copy, seen = "proof-20250731-7-1-0-tenant-x-000001", []

    def leave_something(policy, taken):
        dead = claim(ledger(), Identity(PROVE_TENANT, f"{policy.cluster}/x", "an earlier night"))
        with holding(ledger(), dead):
            run_step(Step("restore_batch", lambda: note_effects(COPIES, ["proof-20250731-7-"])))
        claims.fail(ledger(), dead, "5 attempts died")
        with open_search(settings, policy.scratch_cluster, "restore") as scratch:
            scratch.request("PUT", f"/{copy}")
        return index_set(policy, taken)

    def see(policy, attempt, taken):
        with open_search(settings, policy.scratch_cluster, "restore") as scratch:
            seen.extend(capture.restored_indices(scratch, "proof-"))
        return templates(policy, attempt, taken)

    index_set, templates = night_flow.check_index_set, night_flow.compare_templates
    monkeypatch.setattr(night_flow, "check_index_set", leave_something)
    monkeypatch.setattr(night_flow, "compare_templates", see)
    assert night_of(policy).verdict is Verdict.VERIFIED
    assert seen == []


def test_a_night_that_has_ended_is_served_no_longer(policy, here, settings):
    assert night_of(policy).verdict is Verdict.VERIFIED
    [(night, round_)] = query(settings, "SELECT id, round FROM steward.operations WHERE name = 'nightly-snapshot'")
    request = TenantsRequest(
        policy=policy, operation=night, round=round_, moment=1, batch=0, tenants=policy.tenants[:1]
    )
    with pytest.raises(NightOver, match="does not wait for its tenants"):
        prove_tenant(request)
    assert left_over(settings, policy) == []


def test_a_night_without_the_deployment_of_its_runs_is_unknown_before_anything_is_touched(policy, settings):
    with get_client(sync_client=True) as client:
        assert PROVE_TENANT not in {each.name for each in client.read_deployments()}
    report = night_of(policy)
    assert report.verdict is Verdict.UNKNOWN
    assert f"there is no deployment {PROVE}" in report.error
    assert "HINT:" in report.error
    with open_search(settings, policy.cluster, "snapshot") as source:
        assert source.request("GET", f"/_snapshot/{policy.repository}/*")["snapshots"] == []
