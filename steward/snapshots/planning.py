"""Which tenants a night proves, and in which batches, so that the scratch disk is never asked for more than the policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from heapq import heappop, heappush
from math import ceil

from pydantic import BaseModel, ConfigDict

from steward.errors import BadInput
from steward.snapshots.policy import Coverage, SnapshotPolicy

#: Runs of prove-tenant that one night starts: Prefect's server keeps up with so many. Beyond, a run has several tenants.
MOST_PARTS = 100


class TenantSize(BaseModel):
    """A tenant's indices, their size on disk (primaries), and the night of its last proof."""

    model_config = ConfigDict(frozen=True)

    tenant: str
    indices: list[str]
    bytes: int
    shards: int = 0
    documents: int = 0
    """As its users count them; nested ones do not."""
    proved: date | None = None

    def age(self, night: date) -> int | None:
        """Nights since the last proof; None where there never was one."""
        return None if self.proved is None else max(0, (night - self.proved).days)


def plan_tenants(policy: SnapshotPolicy, tenants: Sequence[TenantSize], night: date) -> list[TenantSize]:
    """The tenants to prove tonight.

    Rotation takes whoever was never proved or would become too old, and beyond them the oldest proofs until an even
    share (all tenants / N) is reached, so that work is spread and no proof grows older than N nights.
    """
    if unknown := sorted(set(policy.tenants) - {tenant.tenant for tenant in tenants}):
        raise BadInput(
            f"unknown tenant {unknown[0]!r}: the cluster holds {len(tenants)} tenants and not this one",
            hint="leave tenants empty to prove all, or onboard it first",
        )
    if policy.tenants:
        return [tenant for tenant in tenants if tenant.tenant in policy.tenants]
    if policy.coverage is Coverage.ALL:
        return list(tenants)
    oldest_first = sorted(tenants, key=lambda tenant: (tenant.proved or date.min, tenant.tenant))
    share = ceil(len(tenants) / policy.prove_every_nights)
    due = sum(1 for tenant in tenants if _is_due(tenant, night, policy.prove_every_nights))
    return oldest_first[: max(share, due)]


def _is_due(tenant: TenantSize, night: date, every: int) -> bool:
    age = tenant.age(night)
    return age is None or age >= every


def plan_batches(tenants: Iterable[TenantSize], most_bytes: int) -> list[list[TenantSize]]:
    """Batches of at most *most_bytes* each, largest tenants first; BadInput names a tenant that alone is larger."""
    batches: list[list[TenantSize]] = []
    room: list[int] = []
    for tenant in sorted(tenants, key=lambda tenant: (-tenant.bytes, tenant.tenant)):
        if tenant.bytes > most_bytes:
            raise BadInput(
                f"tenant {tenant.tenant} holds {tenant.bytes:,} bytes; the policy restores at most {most_bytes:,}",
                hint="raise restore_bytes (and the scratch cluster's disk) to at least the largest tenant",
            )
        fit = next((number for number, left in enumerate(room) if tenant.bytes <= left), None)
        if fit is None:
            batches.append([tenant])
            room.append(most_bytes - tenant.bytes)
        else:
            batches[fit].append(tenant)
            room[fit] -= tenant.bytes
    return batches


def plan_parts(batches: Sequence[Sequence[TenantSize]], most: int = MOST_PARTS) -> list[list[list[str]]]:
    """Of each batch the tenants that each run has: one, or where that would take more than *most* runs, several.

    Runs of one batch are of about the same bytes. BadInput where there are more batches than runs.
    """
    if len(batches) > most:
        raise BadInput(
            f"tonight's tenants are restored in {len(batches):,} batches; with fan_out: workers at most {most} can be",
            hint="raise restore_bytes (and the scratch cluster's disk), or let coverage rotate",
        )
    # Each batch has one, and of those that are left as many as it has of the tenants that are left.
    spare, others = most - len(batches), sum(map(len, batches)) - len(batches)
    return [_shared_out(batch, 1 + (len(batch) - 1) * min(spare, others) // max(1, others)) for batch in batches]


def _shared_out(batch: Sequence[TenantSize], runs: int) -> list[list[str]]:
    """The largest first, each to the run that has least."""
    parts: list[list[str]] = [[] for _ in range(runs)]
    loads = [(0, 0, number) for number in range(runs)]
    for tenant in sorted(batch, key=lambda tenant: (-tenant.bytes, tenant.tenant)):
        load, held, number = heappop(loads)
        parts[number].append(tenant.tenant)
        heappush(loads, (load + tenant.bytes, held + 1, number))
    return parts
