"""Make a search cluster be as its description says, showing the difference before anything changes.

Failure semantics: with `apply` off nothing is changed, and the run is Completed whatever differs; the report's verdict
is REFUTED then. With it on, a plan that holds a refusal (a repository that is corrupted, read-only or elsewhere, a
bucket with Object Lock) ends the run Failed before the first change. Every change is idempotent, so a run that stopped
anywhere is cured by running it again. What was put is read back: a difference that is left ends the run Failed,
REFUTED. Killed anywhere, a new run takes it up. A cluster that does not answer ends it Failed with that error, and
nothing is claimed.
"""

from __future__ import annotations

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

from steward.operations.claims import Terms
from steward.search.description import RepositoryKind
from steward.search.errors import NotAsDescribed, ProvisioningRefused
from steward.search.provisioning import Part, ProvisionPlan, ProvisionReport, assess_comparison, assess_provisioning
from steward.verdicts import Verdict
from tasks.durable import durable
from tasks.search import (
    compare_cluster,
    put_cluster_settings,
    put_repository,
    put_roles,
    put_template,
    show_plan,
    show_provisioning,
    verify_repository,
)

# In the order of need: the later steps of other flows are done under these roles, indices are made from the template.
CHANGES = {
    Part.ROLE: put_roles,
    Part.TEMPLATE: put_template,
    Part.REPOSITORY: put_repository,
    Part.SETTING: put_cluster_settings,
}


class ProvisionRequest(BaseModel):
    """Which cluster to compare with its description, and whether to change it."""

    model_config = ConfigDict(extra="forbid", title="Provision search")

    cluster: str = Field(
        default="production",
        title="Cluster",
        description="A cluster of the settings, by name. It needs a user for the purpose `provision`.",
        min_length=1,
        max_length=63,
    )
    repository: RepositoryKind = Field(
        default="fs",
        title="Repository",
        description="fs: a folder that all nodes share. s3: the bucket that the description names.",
    )
    apply: bool = Field(
        default=False,
        title="Apply",
        description="Off: only show what differs. On: show it, then change it, then read it back.",
    )


@flow(name="provision-search", flow_run_name="provision {request.cluster}")
@durable(subject="{request.cluster}", terms=Terms(deadline_seconds=900))
def provision_search(request: ProvisionRequest) -> ProvisionReport:
    """Compare a search cluster with its description, show what differs, and put it right if asked to."""
    plan = compare_cluster(request.cluster, request.repository)
    show_plan(plan)
    if not request.apply:
        return _told(assess_comparison(plan))
    if plan.refusals:
        raise ProvisioningRefused(plan.cluster, plan.refusals)
    _put(request, plan)
    writers = verify_repository(request.cluster, request.repository)
    # Read back, because a server that answered 200 may still have kept something else.
    report = _told(assess_provisioning(plan, compare_cluster(request.cluster, request.repository), writers))
    if report.verdict is not Verdict.VERIFIED:
        raise NotAsDescribed(report.cluster, [*report.refusals, *map(str, report.remaining)])
    return report


def _put(request: ProvisionRequest, plan: ProvisionPlan) -> None:
    for part, put in CHANGES.items():
        if plan.changes_to(part):
            put(request.cluster, request.repository)


def _told(report: ProvisionReport) -> ProvisionReport:
    show_provisioning(report)
    return report
