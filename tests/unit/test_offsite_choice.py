from __future__ import annotations

from datetime import date, timedelta

from steward.snapshots.offsite_choice import choose_tenants, digests_of, within
from steward.snapshots.planning import TenantSize

NIGHT = date(2026, 5, 1)


def tenant(name, size=10, *more):
    return TenantSize(tenant=name, indices=[f"tenant-{name}-000001", *more], bytes=size)


def names(tenants):
    return [each.tenant for each in tenants]


def test_all_are_proved_where_there_is_room():
    assert names(choose_tenants([tenant("b"), tenant("a")], {}, 20)) == ["a", "b"]


def test_never_proved_comes_first_then_the_oldest_proof():
    proved = {"a": NIGHT, "b": NIGHT - timedelta(days=3)}
    assert names(choose_tenants([tenant("a"), tenant("b"), tenant("c")], proved, 20)) == ["c", "b"]


def test_one_too_large_for_what_is_left_waits_and_smaller_ones_go():
    proved = {"a": NIGHT - timedelta(days=9), "b": NIGHT - timedelta(days=8), "c": NIGHT}
    assert names(choose_tenants([tenant("a", 6), tenant("b", 6), tenant("c", 4)], proved, 10)) == ["a", "c"]


def test_the_oldest_is_proved_however_large():
    assert names(choose_tenants([tenant("a", 99)], {}, 10)) == ["a"]


def test_each_has_its_turn_within_as_many_nights():
    tenants, proved = [tenant(f"t{number}", 4 + number % 3) for number in range(9)], {}
    for day in range(9):
        for each in choose_tenants(tenants, proved, 8):
            proved[each.tenant] = NIGHT + timedelta(days=day)
    assert proved.keys() == {each.tenant for each in tenants}


def test_nobody_is_chosen_of_nobody():
    assert choose_tenants([], {}, 10) == []


def test_a_tenant_counts_only_with_all_of_its_indices():
    tenants = [tenant("a"), tenant("b", 10, "tenant-b-000002"), TenantSize(tenant="c", indices=[], bytes=0)]
    digests = {"tenant-a-000001": "x:1:a", "tenant-b-000001": "x:1:b"}
    assert names(within(tenants, digests)) == ["a"]
    assert digests_of(within(tenants, digests), digests) == {"tenant-a-000001": "x:1:a"}
