"""What a tenant has, what it lacks, and whether what was found may be taken for the tenant's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from steward.search.comparison import differences
from steward.search.errors import TenantNameTaken
from steward.search.names import TenantName
from steward.search.requests import Requests, found
from steward.verdicts import Verdict

BOUND_SECONDS = 30.0
"""From the request to the first search that answered. About 1 s where the cluster is idle."""


class TenantIndex(BaseModel):
    """An index of a tenant, and its part in the tenant's alias."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    in_alias: bool
    takes_writes: bool


class TenantPlan(BaseModel):
    """What is to be made. Empty where the tenant has everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str
    create_index: str | None = None
    add_to_alias: tuple[str, ...] = ()
    write_index: str | None = None
    """The index that takes the alias's writes from now on, where none does."""
    put_role: bool = False

    @property
    def makes_index(self) -> bool:
        """Whether an index is to be made, or to be brought behind the alias."""
        return bool(self.create_index or self.add_to_alias or self.write_index)

    @property
    def made(self) -> tuple[str, ...]:
        """What carrying this out makes, in words."""
        name = TenantName(self.tenant)
        index = (f"index {self.create_index} with alias {name.alias}",) if self.create_index else ()
        added = tuple(f"alias {name.alias} on {index}" for index in self.add_to_alias)
        writes = (f"writes of {name.alias} to {self.write_index}",) if self.write_index else ()
        return ((f"role {name.role}",) if self.put_role else ()) + index + added + writes


class Proof(BaseModel):
    """What was done to prove a tenant searchable, in words, and what was found to be wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: str
    findings: tuple[str, ...] = ()


class Onboarded(BaseModel):
    """What came of a run. *seconds*: from its start until a search through the alias gave the right answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str
    tenant: str
    alias: str
    role: str
    made: tuple[str, ...]
    proof: str
    findings: tuple[str, ...] = ()
    seconds: float
    verdict: Verdict


def plan_tenant(tenant: TenantName, indices: Sequence[TenantIndex], *, role_is_right: bool) -> TenantPlan:
    """What *tenant* lacks, given the indices that carry its name or its alias.

    Raises TenantNameTaken: an index has the alias's own name, or the alias leads to another's index.
    """
    _refuse_strangers(tenant, indices)
    if not indices:
        return TenantPlan(tenant=tenant.value, create_index=tenant.first_index, put_role=not role_is_right)
    takes_writes = [index.name for index in indices if index.takes_writes]
    return TenantPlan(
        tenant=tenant.value,
        add_to_alias=tuple(index.name for index in indices if not index.in_alias),
        # The newest generation: a rollover counts on from it.
        write_index=None if takes_writes else max(index.name for index in indices),
        put_role=not role_is_right,
    )


def assess_onboarding(cluster: str, plan: TenantPlan, lacking: TenantPlan, proof: Proof, seconds: float) -> Onboarded:
    """The report on a run that carried out *plan*; *lacking* was planned anew afterwards, and should be empty."""
    late = (f"searchable after {seconds:.1f} s, bound {BOUND_SECONDS:.0f} s",) if seconds > BOUND_SECONDS else ()
    found = (*proof.findings, *(f"still lacking after it was made: {what}" for what in lacking.made), *late)
    name = TenantName(plan.tenant)
    return Onboarded(
        cluster=cluster,
        tenant=plan.tenant,
        alias=name.alias,
        role=name.role,
        made=plan.made,
        proof=proof.done,
        findings=found,
        seconds=seconds,
        verdict=Verdict.REFUTED if found else Verdict.VERIFIED,
    )


def _refuse_strangers(tenant: TenantName, indices: Sequence[TenantIndex]) -> None:
    for index in indices:
        if index.name == tenant.alias:
            raise TenantNameTaken(
                tenant.value, f"an index is called {tenant.alias}", "that name to be free for an alias"
            )
        if not is_generation(tenant, index.name):
            seen = f"alias {tenant.alias} leads to {index.name}"
            raise TenantNameTaken(tenant.value, seen, f"only indices like {tenant.first_index} behind it")


def is_generation(tenant: TenantName, index: str) -> bool:
    """Whether *index* is called as the tenant's indices are: the alias and six digits."""
    return re.fullmatch(rf"{re.escape(tenant.alias)}-[0-9]{{6}}", index) is not None


def read_indices(client: Requests, tenant: TenantName) -> list[TenantIndex]:
    """Every index that has one of the tenant's names, or stands behind its alias; by name."""
    aliases: dict[str, Any] = {}
    # The pattern also finds what belongs to tenants whose names go on after this one's.
    for path in (f"/{tenant.alias}-*/_alias", f"/{tenant.alias}/_alias"):
        aliases |= found(client, path) or {}
    return sorted(_of_tenant(tenant, aliases), key=lambda index: index.name)


def _of_tenant(tenant: TenantName, aliases: Mapping[str, Any]) -> list[TenantIndex]:
    indices: list[TenantIndex] = []
    for name, entry in aliases.items():
        alias = entry["aliases"].get(tenant.alias)
        if alias is not None or name == tenant.alias or is_generation(tenant, name):
            writes = alias is not None and bool(alias.get("is_write_index"))
            indices.append(TenantIndex(name=name, in_alias=alias is not None, takes_writes=writes))
    return indices


def create_index(client: Requests, tenant: TenantName, index: str) -> None:
    """The index with its alias, in one step. It is no fault that another run has just made it."""
    body = {"aliases": {tenant.alias: {"is_write_index": True}}}
    answer = client.request("PUT", f"/{index}", body, ok=(400,))
    kind = answer.get("error", {}).get("type")
    if kind and kind != "resource_already_exists_exception":
        raise TenantNameTaken(tenant.value, f"{index} was refused: {answer['error'].get('reason')}", "it to be made")


def put_alias(client: Requests, tenant: TenantName, plan: TenantPlan) -> None:
    """Bring every index of the tenant behind its alias, one of them for writes, in one step."""
    indices = {*plan.add_to_alias, *((plan.write_index,) if plan.write_index else ())}
    actions = [{"add": _membership(tenant, index, plan.write_index)} for index in sorted(indices)]
    if actions:
        client.request("POST", "/_aliases", {"actions": actions})


def _membership(tenant: TenantName, index: str, write_index: str | None) -> dict[str, Any]:
    return {"index": index, "alias": tenant.alias, "is_write_index": index == write_index}


def check_mapping(client: Requests, tenant: TenantName, template: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the mapping that the tenant writes to is not the template's; empty where it is.

    An index made before the template changed keeps its old mapping: that shows here, and is cured by a rollover.
    """
    answer = client.request("GET", f"/{tenant.alias}/_mapping")
    newest = max(answer)
    return tuple(differences(answer[newest]["mappings"], template["template"]["mappings"], newest))
