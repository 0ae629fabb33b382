"""Give a tenant its index, alias and role, and prove that the application can search it.

Failure semantics: a bad or taken name, a missing template or a refused login ends the run Failed before anything is
made. What was made stays: a run that stopped anywhere is completed by the next, and a second run makes nothing. A
tenant that cannot be searched, or only after more than 30 s, ends the run Failed, REFUTED; one that could not be asked
ends it Failed with that error, and nothing is claimed.
"""

from __future__ import annotations

import time
from typing import Annotated

from prefect import flow
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from steward.operations.claims import Terms
from steward.search.errors import TenantNotSearchable
from steward.search.names import PATTERN, TenantName
from steward.search.onboarding import Onboarded, TenantPlan, assess_onboarding
from steward.verdicts import Verdict
from tasks.durable import durable
from tasks.search import make_tenant_index, plan_tenant, prove_tenant_searchable, put_tenant_role, show_tenant


def _tenant_name(name: str) -> str:
    return TenantName(name).value


class OnboardRequest(BaseModel):
    """Which tenant, on which cluster. BadTenantName for a name that breaks a rule."""

    model_config = ConfigDict(extra="forbid", title="Onboard tenant")

    # The pattern is for the form; the validator alone decides, and says what is wrong in words.
    tenant: Annotated[str, AfterValidator(_tenant_name)] = Field(
        title="Tenant",
        description="3 to 40 of a-z, 0-9 and single dashes, a letter first, no dash last; e.g. acme or acme-corp.",
        json_schema_extra={"pattern": PATTERN},
    )
    cluster: str = Field(
        default="production",
        title="Cluster",
        description="A cluster of the settings, by name, that provision-search has provisioned.",
        min_length=1,
        max_length=63,
    )


@flow(name="onboard-tenant", flow_run_name="onboard {request.tenant} on {request.cluster}")
@durable(subject="{request.cluster}/{request.tenant}", terms=Terms(deadline_seconds=300))
def onboard_tenant(request: OnboardRequest) -> Onboarded:
    """Make what the tenant lacks, then write, find and remove a document through its alias."""
    started = time.monotonic()
    plan = plan_tenant(request.cluster, request.tenant)
    _make(request.cluster, plan)
    proof = prove_tenant_searchable(request.cluster, request.tenant)
    seconds = time.monotonic() - started
    lacking = plan_tenant(request.cluster, request.tenant)
    report = assess_onboarding(request.cluster, plan, lacking, proof, seconds)
    show_tenant(report)
    if report.verdict is not Verdict.VERIFIED:
        raise TenantNotSearchable(report.tenant, report.findings)
    return report


def _make(cluster: str, plan: TenantPlan) -> None:
    if plan.put_role:
        put_tenant_role(cluster, plan.tenant)
    if plan.makes_index:
        make_tenant_index(cluster, plan)
