"""What a keyring tells of a tenant's keys, and what this library asks of keyring and vault.

`steward/clients` has the real ones. Both are called from several threads at once.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class State(StrEnum):
    """The life of a key generation. It moves forward; only a retired one may be taken back, until it is destroyed."""

    INCOMING = "incoming"
    """Readers know it; writers do not use it yet."""
    CURRENT = "current"
    """Writers use it: one of a tenant."""
    PREVIOUS = "previous"
    """Still read, no longer written."""
    RETIRED = "retired"
    """Disabled; kept for a grace."""
    DESTROYED = "destroyed"
    """Its wrapped keys are deleted; what is left says that it was."""


@dataclass(frozen=True, slots=True)
class Wrap:
    """A tenant master key under one version of the vault's key."""

    kek: str
    """The vault's full identifier of the key version."""
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class WrappedGeneration:
    """One generation of a tenant's master key, as the keyring keeps it."""

    key_id: int
    """1 … 2³¹-1, from one sequence over all tenants: it names its tenant too, and a newer one is greater."""
    number: int
    """1, 2, … within the tenant."""
    state: State
    created_at: dt.datetime
    wraps: tuple[Wrap, ...]
    """Newest version of the vault's key first; two while that key is rotated, none when destroyed."""


@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """All that the keyring knows of a tenant, at one epoch."""

    tenant: str
    epoch: int
    """Rises with every change that readers must know."""
    generations: tuple[WrappedGeneration, ...]


class Keyring(Protocol):
    """Where wrapped tenant keys are kept."""

    def load(self, tenant: str) -> WrappedKeys:
        """Raises TenantUnknown or TenantErased; an error whose `transient` is true when it cannot be asked."""
        ...


class KeyVault(Protocol):
    """Where the key is that wraps them; it never leaves."""

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        """What `wrapped` holds. An error's `transient` tells a vault that is away from one that refuses."""
        ...
