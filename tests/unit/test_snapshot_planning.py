from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import BadInput
from steward.snapshots.planning import TenantSize, plan_batches, plan_parts, plan_tenants
from steward.snapshots.policy import Coverage, SnapshotPolicy, check_night, restore_prefix, snapshot_name

NIGHT = date(2025, 7, 31)


def tenant(name: str, size: int = 1, proved: date | None = None) -> TenantSize:
    return TenantSize(tenant=name, indices=[f"tenant-{name}-000001"], bytes=size, proved=proved)


@given(st.lists(st.integers(1, 100), max_size=40), st.integers(100, 250))
def test_no_batch_is_larger_than_the_policy_and_no_tenant_is_left_out(sizes, most):
    tenants = [tenant(f"t{i}", size) for i, size in enumerate(sizes)]
    batches = plan_batches(tenants, most)
    assert all(sum(t.bytes for t in batch) <= most for batch in batches)
    assert sorted(t.tenant for batch in batches for t in batch) == sorted(t.tenant for t in tenants)


def test_a_tenant_larger_than_the_bound_is_refused_by_name():
    with pytest.raises(BadInput, match="tenant big holds 101 bytes; the policy restores at most 100"):
        plan_batches([tenant("big", 101)], 100)


@given(st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=30), max_size=8), st.integers(8, 40))
def test_every_tenant_of_a_batch_is_in_one_run_and_a_night_starts_no_more_runs_than_it_may(sizes, most):
    batches = [[tenant(f"t{b}-{i}", size) for i, size in enumerate(batch)] for b, batch in enumerate(sizes)]
    parts = plan_parts(batches, most)
    assert [sorted(name for part in batch for name in part) for batch in parts] == [
        sorted(each.tenant for each in batch) for batch in batches
    ]
    assert all(part for batch in parts for part in batch)
    assert sum(map(len, parts)) <= most
    if sum(map(len, batches)) <= most:
        assert all(len(part) == 1 for batch in parts for part in batch)


def test_runs_of_several_tenants_have_about_as_many_bytes_each():
    [parts] = plan_parts([[tenant("a", 50), tenant("b", 30), tenant("c", 20), tenant("d", 10)]], most=2)
    assert parts == [["a", "d"], ["b", "c"]]


def test_a_few_tenants_more_than_runs_cost_no_batch_half_of_its_runs():
    parts = plan_parts([[tenant(f"{batch}-{number}") for number in range(9)] for batch in range(12)])
    assert [len(each) for each in parts] == [8] * 12


def test_more_batches_than_runs_are_refused_with_the_two_ways_out():
    with pytest.raises(BadInput, match="in 3 batches; with fan_out: workers at most 2 can be") as refused:
        plan_parts([[tenant("a")], [tenant("b")], [tenant("c")]], most=2)
    assert "restore_bytes" in refused.value.hint
    assert "rotate" in refused.value.hint


@given(st.integers(1, 30), st.integers(1, 10), st.data())
def test_rotation_never_lets_a_proof_grow_older_than_the_policy(count, every, data):
    policy = SnapshotPolicy(coverage=Coverage.ROTATE, prove_every_nights=every)
    proved: dict[str, date] = {}
    names = [f"t{i:02}" for i in range(count)]
    for offset in range(3 * every):
        night = NIGHT + timedelta(days=offset)
        if data.draw(st.booleans()) and len(names) < 35:
            names.append(f"new{offset:02}")
        planned = plan_tenants(policy, [tenant(n, proved=proved.get(n)) for n in names], night)
        proved |= {t.tenant: night for t in planned}
        assert all((night - proved[n]).days < every for n in names)


def test_rotation_spreads_the_work_once_it_is_under_way():
    policy = SnapshotPolicy(coverage=Coverage.ROTATE, prove_every_nights=5)
    proved: dict[str, date] = {}
    loads = []
    for offset in range(20):
        night = NIGHT + timedelta(days=offset)
        tenants = [tenant(f"t{i}", proved=proved.get(f"t{i}")) for i in range(10)]
        planned = plan_tenants(policy, tenants, night)
        proved |= {t.tenant: night for t in planned}
        loads.append(len(planned))
    assert loads[0] == 10  # nobody had a proof yet
    assert set(loads[6:]) == {2}


def test_unknown_tenant_is_refused_with_what_there_is():
    with pytest.raises(BadInput, match="unknown tenant 'nobody': the cluster holds 1 tenants"):
        plan_tenants(SnapshotPolicy(tenants=["nobody"]), [tenant("acme")], NIGHT)


def test_named_tenants_are_proved_whatever_the_rotation_says():
    policy = SnapshotPolicy(tenants=["acme"], coverage=Coverage.ROTATE)
    planned = plan_tenants(policy, [tenant("acme", proved=NIGHT), tenant("bolt")], NIGHT)
    assert [t.tenant for t in planned] == ["acme"]


def test_a_night_to_come_and_a_night_long_over_are_refused():
    assert check_night(NIGHT, NIGHT) == NIGHT
    assert check_night(NIGHT - timedelta(days=7), NIGHT)
    with pytest.raises(BadInput, match="has not come"):
        check_night(NIGHT + timedelta(days=1), NIGHT)
    with pytest.raises(BadInput, match="is over"):
        check_night(NIGHT - timedelta(days=8), NIGHT)


def test_names_carry_night_and_attempt():
    assert snapshot_name(NIGHT, 1017, 1) == "nightly-2025-07-31-1017"
    assert snapshot_name(NIGHT, 1017, 1, 2) == "nightly-2025-07-31-1017-1.2"
    assert snapshot_name(NIGHT, 1017, 2) == "nightly-2025-07-31-1017-2.1"
    assert restore_prefix(NIGHT, 1017, 2, 0) == "proof-20250731-1017-2-0-"


@pytest.mark.parametrize("field", [{"retention_days": 0}, {"restore_bytes": 5}, {"undecided_ppm": -1}, {"nonsense": 1}])
def test_a_policy_out_of_bounds_is_refused(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        SnapshotPolicy.model_validate(field)
