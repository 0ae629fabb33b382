"""On which terms a snapshot is copied off site, and what its copy came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import cycle, islice

from steward.repository.copying import Lock, LockMode, lock_end
from steward.repository.layout import Catalogue
from steward.repository.manifest import Entry, Manifest
from steward.snapshots.findings import Finding

#: Copies that are locked for long enough: how many are asked for their lock each night. The others are in the bucket's
#: listing, and each is asked within the week, when its lock is renewed.
LOOKED_AT = 2_000


@dataclass(frozen=True)
class CopyTerms:
    """Where copies go, and how they are locked."""

    root: str
    today: date
    lock_days: int
    mode: LockMode

    @property
    def at_least(self) -> Lock:
        """What a copy has at any time."""
        return Lock(self.mode, lock_end(self.today, self.lock_days))


@dataclass
class CopyOutcome:
    """What the copy came to. *manifest* has each entry's version; None: the copy is not complete."""

    manifest: Manifest | None = None
    catalogue: Catalogue | None = None
    findings: list[Finding] = field(default_factory=list[Finding])
    uploaded: int = 0
    uploaded_bytes: int = 0
    renewed: int = 0
    kept: int = 0
    looked_at: int = 0
    locked_until: datetime | None = None


def tonights(kept: Sequence[Entry], today: date, most: int = LOOKED_AT) -> Iterator[Entry]:
    """*most* of *kept*, others each night, so that all have their turn."""
    start = today.toordinal() * most % len(kept) if len(kept) > most else 0
    return islice(cycle(kept), start, start + min(most, len(kept)))
