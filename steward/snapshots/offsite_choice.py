"""Whose copy is proved tonight: the tenants whose last proof from the copy is oldest, as far as the disk goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from steward.snapshots.planning import TenantSize


def choose_tenants(tenants: Iterable[TenantSize], proved: Mapping[str, date], most_bytes: int) -> list[TenantSize]:
    """Those of *tenants* to restore from the copy, together at most *most_bytes*; never none where there are any.

    *proved*: the night of each one's last proof from a copy. One that does not fit beside older ones waits, and is older
    the next night: so each has its turn.
    """
    chosen, room = list[TenantSize](), most_bytes
    for tenant in sorted(tenants, key=lambda each: (proved.get(each.tenant, date.min), each.tenant)):
        if not chosen or tenant.bytes <= room:
            chosen.append(tenant)
            room -= tenant.bytes
    return chosen


def within(tenants: Iterable[TenantSize], digests: Mapping[str, str]) -> list[TenantSize]:
    """Those of *tenants* whose every index has a digest to be compared with."""
    return [tenant for tenant in tenants if tenant.indices and all(index in digests for index in tenant.indices)]


def digests_of(tenants: Sequence[TenantSize], digests: Mapping[str, str]) -> dict[str, str]:
    """Of the indices of *tenants*."""
    return {index: digests[index] for tenant in tenants for index in tenant.indices}
