"""What a night says of its blobs: figures, the manifest's digest, and findings; the blobs themselves are in the manifest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

from steward.snapshots.findings import Finding
from steward.snapshots.stages import Stage
from steward.verdicts import Verdict, combine


class ManifestRef(BaseModel):
    """The manifest of tonight's snapshot, as it is on record."""

    model_config = ConfigDict(frozen=True)

    repository_uuid: str
    generation: int
    snapshot: str
    entries: int
    bytes: int
    """Of the blobs that it lists."""
    sha256: str
    """Of its text, hexadecimal: it stands for every blob's."""


class BlobsChecked(BaseModel):
    """What the check of one night came to."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    bytes: int
    """Read tonight."""
    findings: tuple[Finding, ...] = ()
    """Those that refute first, and not all of many."""
    findings_total: int = 0
    repository_uuid: str = ""
    generation: int = -1
    entries: int = 0
    """Blobs that tonight's snapshot needs, and their bytes."""
    entries_bytes: int = 0
    new: int = 0
    """Blobs never read before."""
    read_again: int = 0
    """Blobs of earlier nights that were read again because it was their turn."""
    elder: int = 0
    """Blobs that only older snapshots need."""
    oldest_read_nights: int = 0
    """Nights since the blob was read that was read longest ago."""
    manifest: ManifestRef | None = None
    """None where something is wrong with what tonight's snapshot needs, or could not be read: there is nothing to copy."""

    @property
    def verdict(self) -> Verdict:
        """VERIFIED where nothing was found and there is a manifest."""
        return combine([finding.verdict for finding in self.findings] or [self._without_findings])

    @property
    def _without_findings(self) -> Verdict:
        return Verdict.VERIFIED if self.manifest else Verdict.UNKNOWN

    @property
    def stage(self) -> Stage:
        """What it took."""
        return Stage(name="blobs", seconds=self.seconds, bytes=self.bytes)

    def figures(self) -> dict[str, JsonValue]:
        """For the night's statement."""
        names = {"seconds", "findings", "manifest"}
        manifest = self.manifest.model_dump(include={"sha256", "entries", "bytes"}) if self.manifest else None
        return {"ms": round(1000 * self.seconds), "manifest": manifest, **self.model_dump(mode="json", exclude=names)}

    def line(self) -> str:
        """A row of the certificate."""
        oldest = "tonight" if self.oldest_read_nights == 0 else f"{self.oldest_read_nights} nights ago"
        return (
            f"{self.entries:,} blobs at generation {self.generation}; read {self.new:,} new, {self.read_again:,} again; "
            f"oldest {oldest}"
        )
