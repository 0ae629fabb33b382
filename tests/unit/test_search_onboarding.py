from __future__ import annotations

import pytest

from steward.search.errors import TenantNameTaken
from steward.search.names import TenantName
from steward.search.onboarding import Proof, TenantIndex, TenantPlan, assess_onboarding, plan_tenant
from steward.search.summaries import onboarding_summary
from steward.verdicts import Verdict

ACME = TenantName("acme")


def index(number: int, *, in_alias: bool = True, writes: bool = True) -> TenantIndex:
    return TenantIndex(name=f"tenant-acme-{number:06}", in_alias=in_alias, takes_writes=writes)


def planned(*indices: TenantIndex, role_is_right: bool = True) -> TenantPlan:
    return plan_tenant(ACME, indices, role_is_right=role_is_right)


def assessed(*, findings=(), lacking=None, seconds=1.0):
    plan = planned(role_is_right=False)
    return assess_onboarding(
        "production", plan, lacking or planned(index(1)), Proof(done="x", findings=findings), seconds
    )


def test_a_new_tenant_gets_role_index_and_alias():
    plan = planned(role_is_right=False)
    assert plan.create_index == "tenant-acme-000001"
    assert plan.made == ("role tenant_acme", "index tenant-acme-000001 with alias tenant-acme")


def test_a_tenant_that_has_everything_is_left_alone():
    plan = planned(index(1))
    assert plan.made == ()
    assert not plan.makes_index


@pytest.mark.parametrize(
    ("indices", "added", "writes"),
    [
        ((index(1, in_alias=False, writes=False),), ("tenant-acme-000001",), "tenant-acme-000001"),
        ((index(1, writes=False), index(2, writes=False)), (), "tenant-acme-000002"),
        ((index(1), index(2, in_alias=False, writes=False)), ("tenant-acme-000002",), None),
    ],
)
def test_a_half_made_tenant_is_completed(indices, added, writes):
    plan = planned(*indices)
    assert (plan.create_index, plan.add_to_alias, plan.write_index) == (None, added, writes)


def test_an_index_that_has_the_name_of_the_alias_is_refused():
    with pytest.raises(TenantNameTaken, match="an index is called tenant-acme") as refused:
        planned(TenantIndex(name="tenant-acme", in_alias=False, takes_writes=False))
    assert refused.value.hint


def test_an_alias_that_leads_to_an_index_of_another_is_refused():
    with pytest.raises(TenantNameTaken, match="leads to tenant-other-000001"):
        planned(index(1), TenantIndex(name="tenant-other-000001", in_alias=True, takes_writes=False))


def test_a_tenant_found_in_time_is_verified():
    report = assessed()
    assert report.verdict is Verdict.VERIFIED
    assert "verdict: VERIFIED" in onboarding_summary(report)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"findings": ("found nothing",)}, "found nothing"),
        ({"lacking": planned(role_is_right=False)}, "still lacking after it was made: role tenant_acme"),
        ({"seconds": 30.1}, "searchable after 30.1 s, bound 30 s"),
    ],
)
def test_a_tenant_that_is_not_as_promised_is_refuted(change, said):
    report = assessed(**change)
    assert report.verdict is Verdict.REFUTED
    assert said in report.findings
    assert said in onboarding_summary(report)
