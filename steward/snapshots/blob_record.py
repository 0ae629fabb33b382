"""What the check of blobs needs of its record, and what it is told of the night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from steward.repository.comparing import KeptManifest
from steward.repository.due import Known
from steward.repository.hashing import Reading
from steward.repository.manifest import Manifest


@dataclass(frozen=True)
class Tonight:
    """What is checked."""

    repository: str
    snapshot: str
    snapshot_uuid: str
    night: date
    retention_days: int
    blob_check_days: int


class Record(Protocol):
    """What nights before have found of a cluster's repository, and what tonight adds. Each call is whole by itself."""

    def take_up(self) -> None:
        """From here on, what nights found VERIFIED since the last call is what blobs are compared with."""
        ...

    def manifests(self) -> list[KeptManifest]:
        """Of VERIFIED snapshots that have not expired, oldest first."""
        ...

    def known(self, repository_uuid: str) -> dict[str, Known]:
        """Every blob of a VERIFIED snapshot that keeps its name and bytes, by path."""
        ...

    def noted(self, repository_uuid: str) -> dict[str, Reading]:
        """What this night read before it was interrupted, and lately others that came to no verdict; no VERIFIED one knows it."""
        ...

    def note(self, repository_uuid: str, new: list[Reading], confirmed: list[str]) -> None:
        """What was read tonight: blobs that nobody knew, and paths of known ones that are what they were."""
        ...

    def verified(self) -> dict[str, date]:
        """The night of each VERIFIED snapshot that no expiry of ours took and no other report tells to be gone."""
        ...

    def tell_gone(self, snapshots: list[str]) -> None:
        """Tonight's report tells of them."""
        ...

    def needed(self, paths: set[str], snapshots: set[str]) -> set[str]:
        """Which of *paths* the manifest of one of *snapshots* lists."""
        ...

    def needing(self, paths: set[str], snapshots: set[str]) -> dict[str, list[str]]:
        """Those of *snapshots* that need each of *paths* by their manifests, oldest first."""
        ...

    def keep(self, manifest: Manifest, blob_bytes: int) -> None:
        """Tonight's. It is trusted once the night is VERIFIED."""
        ...
