"""What stops the provisioning of a search cluster, or of a tenant on it."""

from __future__ import annotations

from collections.abc import Sequence

from steward.errors import BadInput, StewardError
from steward.verdicts import NotVerified


class BadTenantName(BadInput):
    """The name cannot be a tenant's; nothing has been touched."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(
            f"bad tenant name {name[:60]!r}: {fault}",
            hint="use the form acme or acme-corp; the index, the alias and the role are named after it",
        )
        self.name = name


class RolesFileUnreadable(StewardError):
    """A node's `roles.yml` cannot be read, understood or changed without harm to what others wrote in it."""


class ProvisioningRefused(BadInput):
    """The plan holds what must not be done; nothing of it has been done."""

    def __init__(self, cluster: str, refusals: Sequence[str]) -> None:
        super().__init__(
            f"refused to provision {cluster}: {'; '.join(refusals)}",
            hint="docs/runbooks/provision-search.md, section Refused, says how each of these is resolved by hand",
        )
        self.cluster, self.refusals = cluster, tuple(refusals)


class NotAsDescribed(NotVerified):
    """After every change was made, the cluster still differs from its description."""

    def __init__(self, cluster: str, differences: Sequence[str]) -> None:
        super().__init__(
            f"cluster {cluster} differs from its description after provisioning: {'; '.join(differences)}",
            hint="a node that is away, or another hand that writes the same: look at each difference, then run it again",
        )
        self.cluster, self.differences = cluster, tuple(differences)


class TemplateMissing(BadInput):
    """The cluster has no index template for tenants, so an index would get no mapping."""

    def __init__(self, cluster: str, template: str) -> None:
        super().__init__(
            f"cluster {cluster} has no index template {template!r}",
            hint="run provision-search on it first: it puts the template",
        )


class TenantNameTaken(BadInput):
    """Something that is not the tenant's has one of the tenant's names."""

    def __init__(self, tenant: str, seen: str, expected: str) -> None:
        super().__init__(
            f"cannot onboard {tenant}: {seen}, expected {expected}",
            hint="see what it is and move it by hand: onboarding neither deletes nor takes over what it did not make",
        )
        self.tenant = tenant


class TenantNotSearchable(NotVerified):
    """What was made for the tenant does not do what it is for."""

    def __init__(self, tenant: str, findings: Sequence[str]) -> None:
        super().__init__(
            f"tenant {tenant} is not searchable as promised: {'; '.join(findings)}",
            hint="docs/runbooks/onboard-tenant.md; running it again is harmless and completes what is missing",
        )
        self.tenant, self.findings = tenant, tuple(findings)
