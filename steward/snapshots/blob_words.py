"""Faults of blobs in words: which blob, what it is, what is wrong with it, and which snapshots cannot do without it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Protocol

from steward.repository.closure import Closure
from steward.repository.comparing import in_words, kind_of, snapshots_of
from steward.repository.hashing import Fault
from steward.snapshots.blob_record import Record
from steward.snapshots.findings import Finding, refuted, unknown

#: Findings that are told with their words; of more only how many there are.
MOST_TOLD = 100


class Looked(Protocol):
    """What was looked at."""

    closure: Closure | None

    @property
    def listed(self) -> set[str]:
        """Names of the snapshots that are there."""
        ...

    def is_of_others(self, path: str) -> bool:
        """Whether only older snapshots need the blob."""
        ...


def tell_faults(faults: Iterable[Fault], looked: Looked, snapshot: str, record: Record) -> list[Finding]:
    """Those that refute first; of many, not all."""
    told = sorted(faults, key=lambda fault: (fault.unread, fault.path))[:MOST_TOLD]
    older = record.needing({fault.path for fault in told}, looked.listed) if told else {}
    return [_finding(fault, looked, snapshot, older.get(fault.path, [])) for fault in told]


def _finding(fault: Fault, looked: Looked, snapshot: str, older: list[str]) -> Finding:
    others, catalogue = looked.is_of_others(fault.path), looked.closure and looked.closure.catalogue
    names = snapshots_of(fault.path, catalogue) if catalogue else None
    if names is None:
        names = older if others else [*(name for name in older if name != snapshot), snapshot]
    index = looked.closure.index_of(fault.path) if looked.closure else None
    what = " of ".join(filter(None, (kind_of(fault.path), index)))
    # A finding on an index counts against its tenant, whose proof of tonight an older snapshot's blob does not touch.
    subject = f"{index}[{fault.path}]" if index and not others else fault.path
    fact = f"{what}: {fault.fact}" if what else fault.fact
    needed = f"; needed by {in_words(names)}" if names else ""
    return (unknown if fault.unread else refuted)(subject, fact + needed)


def tell_gone(snapshot: str, night: date) -> Finding:
    """A snapshot that should still be there. Told once: what is gone stays gone."""
    return refuted(snapshot, f"VERIFIED on {night}, and the repository lists it no more; no expiry of ours took it")
