"""What cannot be limited is refused before anybody is asked."""

import pytest

from steward.ratelimit import INBOUND, Cost, Limits, Policy, Ring
from steward.ratelimit.errors import ImpossibleLimits, NeverFits
from steward.ratelimit.limits import demand_tenant


@pytest.mark.parametrize("counts", [(-1,), (1, -1), (1, 0, -1), (1.0,), (True,), (1, 10**12 + 1), ("1",)])
def test_a_cost_is_whole_and_not_negative(counts):
    with pytest.raises(ImpossibleLimits):
        Cost(*counts)


@pytest.mark.parametrize("counts", [(0,), (1, 0), (1, 1, 0), (1, 1, 1, 0), (None,), (1.5,)])
def test_a_limit_is_whole_and_above_nothing(counts):
    with pytest.raises(ImpossibleLimits):
        Limits(*counts)


@pytest.mark.parametrize(
    "policy",
    [
        {"window_seconds": 0},
        {"window_seconds": 1.5},
        {"window_seconds": 3601},
        {"dispatch_seconds": -1},
        {"dispatch_seconds": 61},
        {"transit_seconds": -1},
        {"transit_seconds": 0.5},
        {"dispatch_seconds": 2, "transit_seconds": 2},
        {"dispatch_seconds": 0, "transit_seconds": 1},
        {"tenant_share": 0},
        {"tenant_share": 1.01},
        {"tenant_share": float("nan")},
    ],
)
def test_a_policy_no_ring_can_follow_is_refused(policy):
    with pytest.raises(ImpossibleLimits):
        Policy(**policy)


def test_a_ring_counts_window_and_dispatch_and_one_second_more():
    assert Policy().ring_seconds == 63
    assert INBOUND.ring_seconds == 61


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "a}b", "é", "-a", "a" * 201, "a\n"])
def test_a_rings_name_can_be_a_hash_tag(name):
    with pytest.raises(ImpossibleLimits):
        Ring(name)


def test_all_keys_of_a_ring_have_its_name_as_hash_tag():
    assert Ring("openai:main:gpt-5").key("tenant", "a}c{me") == "limit:{openai:main:gpt-5}:tenant:a}c{me"


@pytest.mark.parametrize(
    ("cost", "named"),
    [
        (Cost(11), "11 requests; a tenant may have 10"),
        (Cost(1, 1_001), "1,001 input_tokens"),
        (Cost(1, 0, 501), "501 output_tokens"),
        (Cost(1, 800, 401), "1,201 tokens"),
    ],
)
def test_what_is_above_a_whole_limit_never_fits(cost, named):
    with pytest.raises(NeverFits, match=named):
        Limits(10, 1_000, 500, 1_200).demand_room_for(cost, 1.0)


def test_what_is_above_a_tenants_share_never_fits():
    Limits(10).demand_room_for(Cost(5), 0.5)
    with pytest.raises(NeverFits, match="6 requests; a tenant may have 5 of the limit of 10"):
        Limits(10).demand_room_for(Cost(6), 0.5)


@pytest.mark.parametrize(("tenant", "weight"), [("", 1), ("a" * 201, 1), ("a", 0), ("a", -1), ("a", float("nan"))])
def test_a_tenant_has_a_name_and_a_weight(tenant, weight):
    with pytest.raises(ImpossibleLimits):
        demand_tenant(tenant, weight)
