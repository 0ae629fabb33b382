"""What a night's snapshot must hold, how it is proved, and how long it is kept. Prefect shows this model as a form."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from steward.errors import BadInput
from steward.repository.copying import LockMode

NIGHTS_LATE = 7
"""A snapshot taken now says nothing of a night longer ago than this; a missed night is missed."""

NIGHT_SECONDS = 4 * 3600
"""Over all attempts of a run. What is not done by then is UNKNOWN; the day has other uses for the clusters."""


class Coverage(StrEnum):
    """Which tenants a night restores and compares. The snapshot itself always holds all of them."""

    ALL = "all"
    ROTATE = "rotate"


class FanOut(StrEnum):
    """Where tenants are restored and compared."""

    INLINE = "inline"
    """In the night's own run, one batch after the other."""
    WORKERS = "workers"
    """In runs of prove-tenant, which any worker of the pool takes; a batch's run side by side."""


class GoldenQuery(BaseModel):
    """A search whose hits must be the same ids on source and copy; scores may differ, since statistics do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=60, title="Name", description="how the certificate calls it")
    query: dict[str, Any] = Field(title="Query", description="Elasticsearch query DSL, without size or sort")


def _queries() -> list[GoldenQuery]:
    return [
        GoldenQuery(name="full text", query={"match": {"documentation": "encryption key"}}),
        GoldenQuery(name="keyword", query={"prefix": {"name": "List"}}),
    ]


class SnapshotPolicy(BaseModel):
    """One cluster's nightly snapshot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(default="production", title="Cluster", description="search cluster to snapshot")
    scratch_cluster: str = Field(
        default="scratch", title="Scratch cluster", description="where restores happen, and nothing else"
    )
    repository: str = Field(default="nightly", title="Repository", description="snapshot repository, on both clusters")
    tenants: list[str] = Field(
        default=[], title="Tenants", description="prove only these tonight; empty: as coverage says"
    )
    coverage: Coverage = Field(
        default=Coverage.ALL, title="Coverage", description="prove all tenants every night, or rotate through them"
    )
    prove_every_nights: int = Field(
        default=7, ge=1, le=90, title="Prove every N nights", description="a rotated tenant's proof is never older"
    )
    restore_bytes: int = Field(
        default=10 << 30,
        ge=1 << 20,
        title="Restore at most",
        description="bytes on the scratch cluster at one time; tenants are restored in batches below it",
    )
    retention_days: int = Field(
        default=30, ge=1, le=3650, title="Keep for days", description="age at which a VERIFIED snapshot expires"
    )
    undecided_ppm: int = Field(
        default=5_000,
        ge=0,
        le=100_000,
        title="Undecided at most",
        description="documents per million that may be undecidable without the writers' log; above it: UNKNOWN",
    )
    clock_skew_seconds: float = Field(
        default=60, gt=0, le=600, title="Clock skew at most", description="seconds between any server's clock and ours"
    )
    golden_queries: list[GoldenQuery] = Field(
        default_factory=_queries, title="Golden queries", description="searches that must find the same documents"
    )

    fan_out: FanOut = Field(
        default=FanOut.INLINE,
        title="Fan out",
        description="prove tenants in the night's own run, or in runs that any worker takes",
    )
    blobs: bool = Field(
        default=True, title="Check blobs", description="hash what of the repository tonight's snapshot needs"
    )
    blob_check_days: int = Field(
        default=30, ge=1, le=365, title="Read every blob within days", description="no blob goes unread for longer"
    )
    offsite: bool = Field(
        default=True, title="Copy off site", description="into a bucket under Object Lock, and restore from there"
    )
    offsite_lock_days: int = Field(
        default=30, ge=1, le=3650, title="Lock for days", description="the copy cannot be deleted for so long"
    )
    offsite_mode: LockMode = Field(
        default=LockMode.COMPLIANCE, title="Lock mode", description="whether anybody at all can lift the lock"
    )
    offsite_proof_bytes: int = Field(
        default=10 << 30,
        ge=1 << 20,
        title="Prove of the copy at most",
        description="bytes fetched from the copy and restored each night, by one run; tenants take turns",
    )

    @property
    def copy_proof_bytes(self) -> int:
        """What is restored from the copy at one time: no more than of the repository itself."""
        return min(self.offsite_proof_bytes, self.restore_bytes)

    @property
    def indices(self) -> str:
        """The pattern of what is snapshot: every tenant's indices."""
        return "tenant-*"


def check_night(night: date, today: date) -> date:
    """*night* itself; BadInput for one that has not come yet or that a snapshot of today cannot speak for."""
    if night > today:
        raise BadInput(f"night {night} has not come: today is {today} (UTC)", hint="leave the night empty for tonight")
    if night < today - timedelta(days=NIGHTS_LATE):
        raise BadInput(
            f"night {night} is over: a snapshot taken on {today} cannot show what was held then",
            hint=f"nights up to {NIGHTS_LATE} days ago can be made good; older ones are lost",
        )
    return night


def snapshot_name(night: date, token: int, moment: int, tries: int = 1) -> str:
    """The snapshot's name. It carries the fencing token, so a late call of a dead run cannot touch a newer one's."""
    again = f"-{moment}.{tries}" if (moment, tries) != (1, 1) else ""
    return f"nightly-{night:%Y-%m-%d}-{token}{again}"


def restore_prefix(night: date, token: int, moment: int, batch: int) -> str:
    """The prefix of what this run restores of one batch on the scratch cluster."""
    return f"proof-{night:%Y%m%d}-{token}-{moment}-{batch}-"
