"""What a person asks for who needs tenants back from the copy off site. Prefect shows this model as a form."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Names(StrEnum):
    """How the restored indices are called."""

    AS_THEY_WERE = "as they were"
    """With their aliases: tenants go on with them. Refused where there is anything of such a name."""
    UNDER_PREFIX = "under a prefix"
    """Without aliases, beside what there is: to look at, or to copy from."""


class RecoveryRequest(BaseModel):
    """Of whom, of which night, and where to."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Restore from the copy off site")

    cluster: str = Field(
        default="production", title="Cluster", description="whose copies: they lie off site under this name"
    )
    into: str = Field(default="", title="Restore into", description="a cluster of the settings; empty: the same one")
    night: date | None = Field(
        default=None,
        title="Night",
        description="UTC date; empty: the newest that is VERIFIED, or not on record",
    )
    snapshot: str = Field(
        default="",
        max_length=255,
        title="Snapshot",
        description="by its name, or UUID, whatever came of its night; empty: as the night says",
    )
    tenants: list[str] = Field(default=[], title="Tenants", description="only these; empty: all that the copy holds")
    names: Names = Field(
        default=Names.AS_THEY_WERE,
        title="Names",
        description="as they were, with aliases, for tenants to go on with; or beside what there is, to look at",
    )
    because: str = Field(
        title="Because",
        description="A ticket's number, say. It stays in the evidence for ever: no personal data.",
        min_length=1,
        max_length=200,
    )

    @property
    def target(self) -> str:
        """The cluster that is restored into."""
        return self.into or self.cluster
