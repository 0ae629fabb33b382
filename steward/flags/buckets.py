"""Where a user falls, by the hash that flagd's SDKs take: to plan and to check with, never to decide at run time.

bucket = murmur3_32(flag key + targeting key) * total >> 32, as openfeature-flagd-core 1.0.0 and @openfeature/flagd-core
4.0.1 have it. The first weight's buckets are the lowest, so each larger first weight holds all of a smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass

import mmh3

from steward.flags.model import Flag, Split


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom a flag is evaluated: the targeting key, and the tenant. None: the application does not say."""

    user: str | None
    tenant: str | None = None


def bucket(flag_key: str, targeting_key: str, total: int = 100) -> int:
    """From 0 to *total* - 1."""
    return (mmh3.hash(flag_key + targeting_key, signed=False) * total) >> 32


def variant_of_split(split: Split, flag_key: str, targeting_key: str) -> str:
    """What the split gives, its lease aside."""
    place, reached = bucket(flag_key, targeting_key, split.total), 0
    for name, weight in split.weights:
        reached += weight
        if place < reached:
            return name
    return split.off


def variant_of(flag: Flag, subject: Subject, now_seconds: float) -> str:
    """What *subject* gets at *now_seconds*: what every SDK must answer to the flag's document."""
    if flag.killed:
        return flag.off
    for audience in flag.audiences:
        if subject.tenant in audience.tenants or subject.user in audience.users:
            return audience.variant
    is_over = flag.lease_until is not None and now_seconds >= flag.lease_until
    if flag.split is None or is_over or not subject.user:
        return flag.off
    return variant_of_split(flag.split, flag.key, subject.user)
