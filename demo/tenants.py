"""Who uses the sample application: one tenant for each service whose models make up the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from demo import corpus
from steward.search.errors import BadTenantName
from steward.search.names import TenantName


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of the sample application, and the service whose documents it keeps."""

    name: str
    service: str

    @property
    def alias(self) -> str:
        """Where it reads and writes."""
        return TenantName(self.name).alias

    def documents(self, limit: int | None = None) -> Iterator[corpus.Document]:
        """Its documents, the same ones every time."""
        return corpus.documents(self.service, limit)


def tenant_of(service: str) -> Tenant:
    """The tenant that keeps *service*. A few services have names of two letters (`s3`), too short for a tenant."""
    try:
        return Tenant(TenantName(service).value, service)
    except BadTenantName:
        return Tenant(f"aws-{service}", service)


def tenants() -> list[Tenant]:
    """Every tenant there is, by service."""
    return [tenant_of(service) for service in corpus.services()]


def largest_tenants(count: int) -> list[Tenant]:
    """The *count* tenants with the most to keep, largest first, by the size of their services' models."""
    ranked = sorted(corpus.services(), key=lambda service: (-corpus.model_bytes(service), service))
    return [tenant_of(service) for service in ranked[:count]]
