"""The steps of provisioning a search cluster and of onboarding a tenant: each safe to run twice."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from steward.clients.elasticsearch import SearchClient, open_search
from steward.clients.s3_locks import has_object_lock
from steward.operations.steps import Kind
from steward.search import changes, onboarding, searchability
from steward.search.actual import read_actual, read_template
from steward.search.description import RepositoryKind, SearchDescription, load_description
from steward.search.desired import Desired, desired_state
from steward.search.errors import TemplateMissing
from steward.search.names import TenantName
from steward.search.onboarding import Onboarded, Proof, TenantPlan
from steward.search.provisioning import ProvisionPlan, ProvisionReport, plan_provisioning
from steward.search.roles import Role, api_roles, production_roles, tenant_role
from steward.search.rolestores import ApiRoles, FileRoles, RoleStore, canonical
from steward.search.summaries import onboarding_summary, plan_summary, provision_summary
from steward.search.template import TEMPLATE
from steward.settings import Settings, load
from tasks.durable import step

PROVISIONER = "provision"
APPLICATION = "tenants"


@step("compare cluster with description", run_name="compare {cluster}", kind=Kind.ALWAYS)
def compare_cluster(cluster: str, kind: RepositoryKind) -> ProvisionPlan:
    """What differs, and what forbids changing it. Reads only."""
    settings = load()
    with _provisioner(settings, cluster) as at:
        desired = at.desired(kind)
        locked = desired.bucket if desired.bucket and has_object_lock(settings, desired.bucket) else None
        actual = read_actual(at.client, at.roles, desired.repository_name, locked)
    return plan_provisioning(cluster, desired, actual)


@step("put roles", run_name="put roles of {cluster}")
def put_roles(cluster: str, kind: RepositoryKind) -> None:
    with _provisioner(load(), cluster) as at:
        at.roles.put(at.desired(kind).roles)


@step("put index template", run_name="put template of {cluster}")
def put_template(cluster: str, kind: RepositoryKind) -> None:
    with _provisioner(load(), cluster) as at:
        changes.put_template(at.client, at.desired(kind).template)


@step("put snapshot repository", run_name="put {kind} repository of {cluster}")
def put_repository(cluster: str, kind: RepositoryKind) -> None:
    with _provisioner(load(), cluster) as at:
        changes.put_repository(at.client, cluster, at.desired(kind))


@step("put cluster settings", run_name="put settings of {cluster}")
def put_cluster_settings(cluster: str, kind: RepositoryKind) -> None:
    with _provisioner(load(), cluster) as at:
        changes.put_cluster_settings(at.client, at.desired(kind).settings)


@step("verify snapshot repository", run_name="verify repository of {cluster}", kind=Kind.ALWAYS)
def verify_repository(cluster: str, kind: RepositoryKind) -> tuple[str, ...]:
    """Every node writes to the repository and reads back; returns their names."""
    with _provisioner(load(), cluster) as at:
        return changes.verify_repository(at.client, at.desired(kind).repository_name)


@step("show plan", run_name="show what differs on {plan.cluster}", kind=Kind.ALWAYS)
def show_plan(plan: ProvisionPlan) -> None:
    """Before anything changes: an artifact for the UI, the same lines for the log."""
    for line in (*plan.refusals, *map(str, plan.differences)) or (f"{plan.cluster} is as described",):
        get_run_logger().info(line)
    create_markdown_artifact(plan_summary(plan), key="search-provisioning-plan", description=f"Plan: {plan.cluster}")


@step("show provisioning", run_name="show what came of {report.cluster}", kind=Kind.ALWAYS)
def show_provisioning(report: ProvisionReport) -> None:
    create_markdown_artifact(
        provision_summary(report), key="search-provisioning", description=f"{report.cluster}: {report.verdict}"
    )
    emit_event(
        "steward.search.provisioned" if report.applied else "steward.search.compared",
        resource={"prefect.resource.id": f"steward.search.{report.cluster}"},
        payload={"verdict": report.verdict.value, "changed": len(report.changed), "remaining": len(report.remaining)},
    )


@step("plan tenant", run_name="plan {tenant} on {cluster}", kind=Kind.ALWAYS)
def plan_tenant(cluster: str, tenant: str) -> TenantPlan:
    """What the tenant lacks. Reads only; raises where a name is taken, the template missing, or a login refused."""
    settings, name = load(), TenantName(tenant)
    with open_search(settings, cluster, APPLICATION) as client:
        # Refused now, before there is an index that the application then could not use.
        client.request("GET", "/_security/_authenticate")
    with _provisioner(settings, cluster) as at:
        _template(at)
        held = at.roles.read().values()
        right = all(roles.get(name.role) == canonical(tenant_role(name).body()) for roles in held)
        return onboarding.plan_tenant(name, onboarding.read_indices(at.client, name), role_is_right=right)


@step("put tenant's role", run_name="put role of {tenant} on {cluster}")
def put_tenant_role(cluster: str, tenant: str) -> None:
    name = TenantName(tenant)
    with _provisioner(load(), cluster) as at:
        at.roles.put({name.role: tenant_role(name)})


@step("make tenant's index", run_name="make index of {plan.tenant} on {cluster}")
def make_tenant_index(cluster: str, plan: TenantPlan) -> None:
    """The index that the plan names, behind the alias, or the alias alone where the index is there."""
    name = TenantName(plan.tenant)
    with _provisioner(load(), cluster) as at:
        if plan.create_index:
            onboarding.create_index(at.client, name, plan.create_index)
        onboarding.put_alias(at.client, name, plan)


@step("prove tenant searchable", run_name="search {tenant} on {cluster}")
def prove_tenant_searchable(cluster: str, tenant: str) -> Proof:
    """As the application's user, so that its rights are proved too. The mapping is compared with the template's."""
    settings, name = load(), TenantName(tenant)
    with open_search(settings, cluster, APPLICATION) as client:
        proof = searchability.prove_searchable(client, name)
    with _provisioner(settings, cluster) as at:
        unlike = onboarding.check_mapping(at.client, name, _template(at))
    return Proof(done=proof.done, findings=proof.findings + unlike)


@step("show tenant", run_name="show what came of {report.tenant}", kind=Kind.ALWAYS)
def show_tenant(report: Onboarded) -> None:
    key, description = f"tenant-{report.tenant}", f"{report.tenant}: {report.verdict}"
    create_markdown_artifact(onboarding_summary(report), key=key, description=description)
    emit_event(
        "steward.tenant.onboarded",
        resource={"prefect.resource.id": f"steward.tenant.{report.tenant}"},
        payload={"cluster": report.cluster, "verdict": report.verdict.value, "seconds": report.seconds},
    )


@dataclass(frozen=True)
class _Provisioner:
    """A cluster as its provisioner reaches it. Where roles live decides which of them are ours to put."""

    cluster: str
    client: SearchClient
    roles: RoleStore
    described_roles: dict[str, Role]

    def desired(self, kind: RepositoryKind) -> Desired:
        return desired_state(_description(), kind, self.described_roles)


@contextmanager
def _provisioner(settings: Settings, cluster: str) -> Generator[_Provisioner]:
    role_files = settings.cluster(cluster).role_files
    with open_search(settings, cluster, PROVISIONER) as client:
        if role_files:
            yield _Provisioner(cluster, client, FileRoles(role_files), production_roles())
        else:
            yield _Provisioner(cluster, client, ApiRoles(client), api_roles())


def _description() -> SearchDescription:
    with as_file(files("deployments.elasticsearch") / "search.toml") as path:
        return load_description(path)


def _template(at: _Provisioner) -> dict[str, object]:
    template = read_template(at.client)
    if template is None:
        raise TemplateMissing(at.cluster, TEMPLATE)
    return template
