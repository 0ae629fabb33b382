"""What a night says of its off-site copy: what was copied and renewed, and what a restore from there alone came to."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, JsonValue

from steward.snapshots.findings import Finding
from steward.snapshots.stages import Stage
from steward.verdicts import Verdict, combine

#: Findings told by name; their numbers are always exact.
MOST_TOLD = 100


class OffsiteCopied(BaseModel):
    """What the copy of one night came to."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    findings: tuple[Finding, ...] = ()
    """Those that refute first, and not all of many."""
    findings_total: int = 0
    repository_uuid: str
    generation: int
    """At which the copy is consistent: younger than the checked one where the repository moved meanwhile."""
    manifest_key: str = ""
    """Of the document in the bucket, which pins all else by version; empty: the copy is not complete."""
    manifest_version: str = ""
    manifest_sha256: str = ""
    entries: int = 0
    """Blobs that the snapshot needs, and their bytes."""
    entries_bytes: int = 0
    uploaded: int = 0
    uploaded_bytes: int = 0
    renewed: int = 0
    """Blobs of older nights whose lock was made longer, and read back."""
    kept: int = 0
    """Blobs of older nights that are locked for long enough."""
    looked_at: int = 0
    """Of those kept: how many were asked for their lock tonight. All were found in the bucket's listing."""
    locked_until: datetime | None = None
    """Of what was uploaded and renewed."""

    @property
    def verdict(self) -> Verdict:
        """VERIFIED where nothing was found and the copy is complete."""
        return _verdict(self.findings, whole=bool(self.manifest_key))

    @property
    def stage(self) -> Stage:
        """What it took."""
        return Stage(name="copy", seconds=self.seconds, bytes=self.uploaded_bytes)

    def figures(self) -> dict[str, JsonValue]:
        """For the night's statement."""
        return _figures(self)

    def line(self) -> str:
        """A row of the certificate."""
        if not self.manifest_key:
            return f"not complete: {self.uploaded:,} of {self.entries:,} blobs copied"
        until = f"{self.locked_until:%Y-%m-%d}" if self.locked_until else "never"
        return (
            f"{self.entries:,} blobs, locked; {self.uploaded:,} new ({self.uploaded_bytes:,} bytes) and "
            f"{self.renewed:,} renewed until {until}"
        )


class OffsiteProved(BaseModel):
    """What a restore from the copy alone came to."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    findings: tuple[Finding, ...] = ()
    findings_total: int = 0
    tenants: tuple[str, ...] = ()
    """Restored from the copy, all their indices compared: the ones whose proof was oldest, as far as the disk went."""
    indices: int = 0
    documents: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    rto_seconds: float = 0.0
    """From the first blob fetched to the last shard searchable: what it takes with the primary repository gone."""

    @property
    def verdict(self) -> Verdict:
        """VERIFIED where nothing was found and some tenant was compared."""
        return _verdict(self.findings, whole=bool(self.tenants))

    @property
    def stage(self) -> Stage:
        """What it took."""
        return Stage(name="copy-proof", seconds=self.seconds, bytes=self.fetched_bytes, documents=self.documents)

    def figures(self) -> dict[str, JsonValue]:
        """For the night's statement."""
        return _figures(self)

    def line(self) -> str:
        """A row of the certificate."""
        return (
            f"{len(self.tenants):,} tenants, {self.documents:,} documents, restored from there alone in "
            f"{self.rto_seconds:.1f} s"
        )


def _verdict(findings: tuple[Finding, ...], *, whole: bool) -> Verdict:
    return combine([each.verdict for each in findings] + [Verdict.VERIFIED if whole else Verdict.UNKNOWN])


def _figures(report: OffsiteCopied | OffsiteProved) -> dict[str, JsonValue]:
    """All of it but the findings, which the night's own list tells; times in whole milliseconds."""
    told = report.model_dump(mode="json", exclude={"findings", "seconds", "rto_seconds"})
    if isinstance(report, OffsiteProved):
        told |= {"rto_ms": round(1000 * report.rto_seconds)}
    return {"ms": round(1000 * report.seconds), **told}
