"""Every endpoint that Steward reaches, and which of them need one another."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from steward.errors import BadInput
from steward.settings.base import VARIABLE, Frozen
from steward.settings.costs import Costs
from steward.settings.evidence import Evidence, ObjectStore
from steward.settings.flags import Flags
from steward.settings.gateway import Gateway, Provider
from steward.settings.keys import Application, Audit, Keyring
from steward.settings.notices import Notices
from steward.settings.operations import Operations
from steward.settings.pipeline import Pipeline
from steward.settings.postgres import Postgres
from steward.settings.redis import Redis
from steward.settings.references import references_in
from steward.settings.rollout import ApplicationHost, Balancer, Prometheus
from steward.settings.search import SearchCluster
from steward.settings.snapshots import Snapshots
from steward.settings.vault import Vault
from steward.settings.webhooks import Webhooks


class Settings(Frozen):
    """Every endpoint that Steward reaches."""

    search: dict[str, SearchCluster]
    postgres: Postgres
    objects: ObjectStore
    evidence: Evidence
    operations: Operations = Operations()
    vault: Vault | None = None
    keyring: Keyring | None = None
    redis: Redis | None = None
    providers: dict[str, Provider] = Field(default={}, description="accounts at providers of AI, by name")
    gateway: Gateway | None = None
    applications: dict[str, Application] = Field(default={}, description="all that keep fields under tenants' keys")
    audit: Audit = Audit()
    costs: Costs | None = None
    flags: Flags | None = None
    application_hosts: dict[str, ApplicationHost] = Field(default={}, description="of the application, by environment")
    notices: Notices = Notices()
    pipeline: Pipeline | None = None
    webhooks: Webhooks | None = None
    snapshots: Snapshots | None = None

    balancers: dict[str, Balancer] = Field(default={}, description="before the application, by environment")
    prometheus: Prometheus | None = None

    @model_validator(mode="after")
    def _vault_where_referred_to(self) -> Self:
        referring = [path for path, reference in references_in(self) if reference.startswith("keyvault:")]
        if referring and self.vault is None:
            msg = f"{', '.join(referring)} names a secret of the vault, and there is no [vault]"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _vault_where_checkpoints_are_signed(self) -> Self:
        if self.evidence.checkpoint_key and self.vault is None:
            msg = "evidence.checkpoint_key names a key of the vault, and there is no [vault]"
            raise ValueError(msg)
        return self

    def cluster(self, name: str) -> SearchCluster:
        """The cluster called *name*; BadInput names the ones there are."""
        if name not in self.search:
            raise BadInput(
                f"unknown search cluster {name!r}; known: {', '.join(sorted(self.search))}",
                hint=f"add [search.{name}] to the file that {VARIABLE} names, or use one of the known names",
            )
        return self.search[name]

    def balancer(self, environment: str) -> Balancer:
        """The load balancer of *environment*; BadInput names the ones there are."""
        if environment not in self.balancers:
            raise BadInput(
                f"no load balancer of environment {environment!r}; known: {', '.join(sorted(self.balancers)) or 'none'}",
                hint=f"add [balancers.{environment}] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.balancers[environment]

    def application_host(self, environment: str) -> ApplicationHost:
        """What runs the releases of *environment*; BadInput names the ones there are."""
        if environment not in self.application_hosts:
            known = ", ".join(sorted(self.application_hosts)) or "none"
            raise BadInput(
                f"no application host of environment {environment!r}; known: {known}",
                hint=f"add [application_hosts.{environment}] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.application_hosts[environment]

    @property
    def proving(self) -> Pipeline:
        """Where releases are built and proved; BadInput where nobody said."""
        if self.pipeline is None:
            raise BadInput(
                "the settings tell of no pipeline",
                hint=f"add [pipeline] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.pipeline

    @property
    def reconciled(self) -> Costs:
        """Of what costs are held against; BadInput where nobody said."""
        if self.costs is None:
            raise BadInput(
                "the settings tell of no costs",
                hint=f"add [costs] to the file that {VARIABLE} names; docs/settings.md",
            )
        return self.costs
