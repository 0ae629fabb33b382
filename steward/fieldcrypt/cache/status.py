"""Figures of the cache of tenants' keys, for whoever runs it."""

from __future__ import annotations

from dataclasses import dataclass

from steward.fieldcrypt.cache.memory import KeyMemory
from steward.fieldcrypt.cache.reports import is_overdue


@dataclass(frozen=True, slots=True)
class Status:
    """`hits`, `loads`, `failures` and `evicted` count from the start; the others are of this moment."""

    tenants: int
    hits: int
    loads: int
    failures: int
    evicted: int
    loading: int
    """Loads under way or waiting for a thread."""
    stale: int
    """Tenants served past their TTL, since keyring or vault is away."""
    refused: int
    """Tenants whose keys end with their TTL, unless keyring or vault stop refusing."""
    overdue: int
    """Tenants whose current generation should have been rotated."""
    oldest_seconds: float
    seen_epoch: int


def status(memory: KeyMemory, loading: int, now: float) -> Status:
    """What *memory* holds, after what is spent has been dropped from it."""
    memory.entries.drop_spent(now)
    entries = memory.entries.values()
    return Status(
        tenants=len(entries),
        hits=memory.entries.hits,
        loads=memory.loads,
        failures=memory.failures,
        evicted=memory.entries.evicted,
        loading=loading,
        stale=sum(now >= entry.fresh_until and entry.trouble is not None for entry in entries),
        refused=sum(entry.refused for entry in entries),
        overdue=sum(is_overdue(entry.keys) for entry in entries),
        oldest_seconds=max((now - entry.loaded_at for entry in entries), default=0.0),
        seen_epoch=memory.seen_epoch(),
    )
