"""Desired against actual: what would be changed, what must not be, and what is beyond a flow's power."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from steward.search.actual import Actual, Repository
from steward.search.comparison import differences
from steward.search.desired import Desired
from steward.search.repositories import is_read_only, moved
from steward.search.rolestores import canonical
from steward.search.template import TEMPLATE
from steward.verdicts import Verdict

NODE_ROLES = ("master", "data", "ingest")


class Part(StrEnum):
    """A part of a cluster that is compared. All but nodes are also put."""

    ROLE = "role"
    TEMPLATE = "template"
    REPOSITORY = "repository"
    SETTING = "cluster setting"
    NODE = "node"


class Difference(BaseModel):
    """One thing that is not as described. *details* say where: what was seen, what is expected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Part
    name: str
    details: tuple[str, ...]
    place: str = ""

    def __str__(self) -> str:
        where = f" in {self.place}" if self.place else ""
        return f"{self.part} {self.name}{where}: {'; '.join(self.details)}"


class ProvisionPlan(BaseModel):
    """What provisioning would change. With a refusal in it, nothing is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str
    differences: tuple[Difference, ...]
    refusals: tuple[str, ...] = ()

    @property
    def as_described(self) -> bool:
        return not self.differences and not self.refusals

    @property
    def changes(self) -> tuple[Difference, ...]:
        """The differences that provisioning can remove."""
        return tuple(each for each in self.differences if each.part is not Part.NODE)

    def changes_to(self, part: Part) -> tuple[Difference, ...]:
        return tuple(each for each in self.differences if each.part is part)


class ProvisionReport(BaseModel):
    """What a run found, what it changed, and whether the cluster is now as described."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str
    applied: bool
    changed: tuple[Difference, ...]
    remaining: tuple[Difference, ...]
    refusals: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    """Nodes that wrote to the repository and read it back; none where nothing was to be applied."""
    verdict: Verdict


def plan_provisioning(cluster: str, desired: Desired, actual: Actual) -> ProvisionPlan:
    """Everything that differs, in the order in which it is put; and every reason to put nothing."""
    found = (
        *_roles(desired, actual),
        *_template(desired, actual),
        *_repository(desired, actual),
        *_settings(desired, actual),
        *_nodes(desired, actual),
    )
    return ProvisionPlan(cluster=cluster, differences=found, refusals=tuple(_refusals(desired, actual)))


def assess_comparison(plan: ProvisionPlan) -> ProvisionReport:
    """The report on a run that only looked: a difference refutes that the cluster is as described."""
    return ProvisionReport(
        cluster=plan.cluster,
        applied=False,
        changed=(),
        remaining=plan.differences,
        refusals=plan.refusals,
        verdict=_verdict(plan),
    )


def assess_provisioning(before: ProvisionPlan, after: ProvisionPlan, writers: tuple[str, ...]) -> ProvisionReport:
    """The report on a run that put what differed *before*; *after* was read back from the cluster since."""
    return ProvisionReport(
        cluster=before.cluster,
        applied=True,
        changed=tuple(each for each in before.changes if each not in after.differences),
        remaining=after.differences,
        refusals=after.refusals,
        writers=writers,
        verdict=_verdict(after),
    )


def _verdict(plan: ProvisionPlan) -> Verdict:
    return Verdict.VERIFIED if plan.as_described else Verdict.REFUTED


def _roles(desired: Desired, actual: Actual) -> Iterator[Difference]:
    for place, held in actual.roles.items():
        for name, role in sorted(desired.roles.items()):
            expected = canonical(role.body())
            if (seen := held.get(name)) is None:
                yield Difference(part=Part.ROLE, name=name, place=place, details=("saw none",))
            elif found := tuple(differences(seen, expected)):
                yield Difference(part=Part.ROLE, name=name, place=place, details=found)


def _template(desired: Desired, actual: Actual) -> Iterator[Difference]:
    yield from _compared(Part.TEMPLATE, TEMPLATE, actual.template, desired.template)


def _repository(desired: Desired, actual: Actual) -> Iterator[Difference]:
    seen = actual.repository.body if actual.repository else None
    yield from _compared(Part.REPOSITORY, desired.repository_name, seen, desired.repository)


def _compared(part: Part, name: str, seen: Any, expected: Any) -> Iterator[Difference]:
    found = ("saw none",) if seen is None else tuple(differences(seen, expected))
    if found:
        yield Difference(part=part, name=name, details=found)


def _settings(desired: Desired, actual: Actual) -> Iterator[Difference]:
    for key, expected in desired.settings.items():
        seen, hidden_by = actual.settings.persistent.get(key), actual.settings.transient.get(key)
        found = [] if seen == expected else [f"saw {seen or 'none'}, expected {expected}"]
        found += [f"hidden by the transient value {hidden_by}"] if hidden_by is not None else []
        if found:
            yield Difference(part=Part.SETTING, name=key, details=tuple(found))


def _nodes(desired: Desired, actual: Actual) -> Iterator[Difference]:
    for name in desired.nodes:
        roles = actual.nodes.get(name)
        if roles is None:
            yield Difference(part=Part.NODE, name=name, details=("not in the cluster",))
        elif lacking := [role for role in NODE_ROLES if role not in roles]:
            yield Difference(part=Part.NODE, name=name, details=(f"lacks the roles {', '.join(lacking)}",))
    for name in sorted(actual.nodes.keys() - set(desired.nodes)):
        # An unplanned fourth master-eligible node makes the number even, and a lost half a standstill.
        yield Difference(part=Part.NODE, name=name, details=("in the cluster, but not described",))


def _refusals(desired: Desired, actual: Actual) -> Iterator[str]:
    if actual.locked_bucket:
        yield (
            f"bucket {actual.locked_bucket} has Object Lock: the cluster could delete no snapshot and verify no "
            "repository in it; lock a copy instead"
        )
    if actual.repository:
        yield from _refused_registration(desired, actual.repository)


def _refused_registration(desired: Desired, registered: Repository) -> Iterator[str]:
    name = desired.repository_name
    if registered.corrupted:
        # Registering it again would clear the mark and let the next snapshot build upon the damage.
        yield f"repository {name} is marked corrupted: it is checked by hand before it is registered again"
    if is_read_only(registered.body) and not is_read_only(desired.repository):
        yield f"repository {name} is registered read-only: whoever did so decides when it is written again"
    if away := moved(desired.repository, registered.body):
        yield f"repository {name} would move and leave its snapshots behind: {away}"
