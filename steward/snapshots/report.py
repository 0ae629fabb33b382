"""What one night's proof says: the value that the certificate, the evidence, the events and the metrics are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, computed_field

from steward.errors import StewardError
from steward.search.names import tenant_of
from steward.snapshots.blob_report import BlobsChecked
from steward.snapshots.content import IndexContent
from steward.snapshots.findings import Finding, unknown
from steward.snapshots.offsite_report import OffsiteCopied, OffsiteProved
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.stages import Stage
from steward.verdicts import NotVerified, Verdict

MOST_LISTED = 100
"""Findings and undecided ids listed by name; their numbers are always exact."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class TenantProof(_Value):
    """A tenant's line in the table of tenants."""

    tenant: str
    verdict: Verdict | None
    """None: not proved tonight, by rotation."""
    documents: int = 0
    digest: str = ""
    """The digests of its indices, joined by a space where it has several."""
    proof_age_nights: int | None = None
    """Nights since its last VERIFIED proof, 0 for tonight; None: never proved."""


class CopyDigest(_Value):
    """The content of one restored index, as the evidence names it."""

    index: str
    algorithm: str
    digest: str
    """Lower-case hex; docs/content-digest.md says how to recompute it."""

    @staticmethod
    def of(content: IndexContent) -> CopyDigest:
        """From `ALGORITHM:DOCUMENTS:HEX`, as the proof writes it."""
        algorithm, _, digest = content.digest.split(":")
        return CopyDigest(index=content.index, algorithm=algorithm, digest=digest)


class SnapshotReport(_Value):
    """One attempt at one night."""

    cluster: str
    repository: str
    snapshot: str
    night: date
    attempt: int
    verdict: Verdict
    started_at: AwareDatetime
    ended_at: AwareDatetime
    taken_at: AwareDatetime | None = None
    """When Elasticsearch began the snapshot: nothing acknowledged before it is missing from the copy."""
    rpo_seconds: float | None = None
    """From the previous VERIFIED snapshot to this one: what would have been lost the instant before. None: the first."""
    rto_seconds: float | None = None
    """Seconds that restoring tonight's tenants took, from the first byte to searchable shards."""
    tenants: list[TenantProof] = []
    copies: list[CopyDigest] = []
    findings: list[Finding] = []
    findings_total: int = 0
    attributed: dict[str, int] = {}
    undecided: int = 0
    undecided_ids: list[str] = []
    documents: int = 0
    golden_matches: dict[str, int] = {}
    stages: list[Stage] = []
    blobs: BlobsChecked | None = None
    copied: OffsiteCopied | None = None
    copy_proved: OffsiteProved | None = None
    """None: the policy leaves it out, or the night did not come so far."""
    expired: dict[str, str] = {}
    error: str | None = None
    """Why the night could not be proved, when a step failed."""
    code: dict[str, Any] = {}
    host: str = ""
    """The code that came to this verdict and the kind of machine it ran on: a later run that only signs it is another."""
    moment_lost: bool = False
    """The proof failed, not the snapshot: a new attempt may succeed."""

    @computed_field
    @property
    def undecided_ppm(self) -> float:
        """Undecided documents per million compared; 0 where none were compared (the verdict is then UNKNOWN)."""
        return round(1e6 * self.undecided / self.documents, 1) if self.documents else 0.0

    def not_cleared(self, error: StewardError) -> SnapshotReport:
        """This report, with what could not be removed said; never VERIFIED then, so that nothing is deleted."""
        verdict = Verdict.UNKNOWN if self.verdict is Verdict.VERIFIED else self.verdict
        said = f"what the attempt made could not be removed: {error}"
        return self.model_copy(update={"verdict": verdict, "error": f"{self.error}\n{said}" if self.error else said})

    @property
    def oldest_proof_nights(self) -> int | None:
        """The oldest proof age of any tenant; None where some tenant was never proved."""
        ages = [tenant.proof_age_nights for tenant in self.tenants]
        return None if None in ages else max((age for age in ages if age is not None), default=None)


class SnapshotNotVerified(NotVerified):
    """The night ended REFUTED or UNKNOWN: there is a snapshot, and no proof that it can be restored."""

    def __init__(self, report: SnapshotReport) -> None:
        first = report.error or (str(report.findings[0]) if report.findings else "nothing was compared")
        super().__init__(
            f"{report.snapshot} is {report.verdict}: {first.splitlines()[0]}",
            hint="read the run's artifact snapshot-certificate and docs/runbooks/nightly-snapshot.md; nothing was expired",
            verdict=report.verdict,
            report=report,
        )


def find_gaps(policy: SnapshotPolicy, contents: Sequence[IndexContent], planned: Iterable[str]) -> list[Finding]:
    """What keeps a night without other findings from being VERIFIED. *planned*: the tenants that were to be proved."""
    documents, undecided = sum(each.documents for each in contents), sum(each.undecided for each in contents)
    compared = {tenant_of(each.index) for each in contents}
    gaps = [
        unknown(f"tenant {name}", "was to be proved tonight, and was not") for name in planned if name not in compared
    ]
    if not documents:
        gaps.append(unknown("the night", "no document was compared, so nothing is proved"))
    elif undecided * 1e6 > policy.undecided_ppm * documents:
        share = 1e6 * undecided / documents
        fact = f"{share:,.0f} documents per million are undecidable without the writers' log; {policy.undecided_ppm:,} are borne"
        gaps.append(unknown("the night", fact))
    return gaps
