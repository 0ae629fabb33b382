"""What the proof of contents found, index by index."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from steward.snapshots.assessment import Assessment, Change, Standing
from steward.snapshots.digests import ContentDigest
from steward.snapshots.findings import Finding, refuted, unknown
from steward.verdicts import Verdict, combine

#: Documents named of one index; their numbers are always exact.
MOST_NAMED = 100
MOST_UNDECIDED_IDS = 1_000
UNDECIDED = (Standing.BRACKETED, Standing.UNSEEN)


class IndexContent(BaseModel):
    """One index's contents against its source."""

    model_config = ConfigDict(frozen=True)

    index: str
    documents: int
    """In the copy."""
    bytes: int
    """Of the copy's raw `_source`."""
    digest: str
    """Of the copy; docs/content-digest.md says how to recompute it. Empty where it was not read in full."""
    unchanged: int
    attributed: dict[str, int] = {}
    """Differences with their cause: documents created, updated, deleted in the window."""
    undecided: int = 0
    """Bracketed or unseen: only the writers' log could tell."""
    unseen: int = 0
    """Of those, documents whose content neither point in time shows."""
    undecided_ids: list[str] = []
    counts: dict[str, int] = {}
    """Documents by standing and reason, `proved: unchanged` among them."""
    findings: list[Finding] = []
    findings_total: int = 0
    moment_lost: bool = False
    """The proof itself failed; a new snapshot may prove the night."""

    @property
    def verdict(self) -> Verdict:
        """REFUTED, UNKNOWN where the proof failed, else VERIFIED. How much may stay undecided is the policy's to say."""
        if any(finding.verdict is Verdict.REFUTED for finding in self.findings):
            return Verdict.REFUTED
        return Verdict.UNKNOWN if self.findings or self.moment_lost else Verdict.VERIFIED


class ContentReport(BaseModel):
    """All indices' contents against their source."""

    model_config = ConfigDict(frozen=True)

    indices: list[IndexContent]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The verdict on the contents as a whole; UNKNOWN where nothing was compared."""
        return combine(index.verdict for index in self.indices)

    @property
    def findings(self) -> list[Finding]:
        """Those of every index."""
        return [finding for index in self.indices for finding in index.findings]


@dataclass
class IndexTally:
    """An index's report while its shards come in."""

    index: str
    digest: ContentDigest = field(default_factory=ContentDigest)
    unchanged: int = 0
    counts: Counter[Assessment] = field(default_factory=Counter[Assessment])
    undecided_ids: list[str] = field(default_factory=list[str])
    refuted: list[Finding] = field(default_factory=list[Finding])
    unknown: list[Finding] = field(default_factory=list[Finding])
    total: int = 0
    moment_lost: bool = False

    def note(self, shard: str, document: str | None, assessment: Assessment) -> None:
        """What was decided of one document, or of the shard itself."""
        subject = shard if document is None else f"{shard} _id {document}"
        if document is not None:
            self.counts[assessment] += 1
            if assessment.standing in UNDECIDED and len(self.undecided_ids) < MOST_UNDECIDED_IDS:
                self.undecided_ids.append(document)
        if assessment.standing is Standing.REFUTED:
            self.refute(subject, assessment.reason)
        elif assessment.standing is Standing.UNSOUND:
            self.lose(subject, assessment.reason)

    def refute(self, subject: str, fact: str) -> None:
        """A fact against the copy."""
        self.total += 1
        if len(self.refuted) < MOST_NAMED:
            self.refuted.append(refuted(subject, fact))

    def lose(self, subject: str, fact: str, *, for_good: bool = False) -> None:
        """The proof failed here. *for_good*: a new attempt will not help."""
        self.total += 1
        self.moment_lost = self.moment_lost or not for_good
        if len(self.unknown) < MOST_NAMED:
            self.unknown.append(unknown(subject, fact))

    def report(self, *, read_in_full: bool) -> IndexContent:
        """The value."""
        attributed = Counter[Change]()
        standings = Counter[Standing]()
        for assessment, times in self.counts.items():
            standings[assessment.standing] += times
            if assessment.standing is Standing.PROVED and assessment.change is not None:
                attributed[assessment.change] += times
        counts = Counter({"proved: unchanged": self.unchanged})
        for assessment, times in self.counts.items():
            counts[f"{assessment.standing}: {assessment.reason}"] += times
        return IndexContent(
            index=self.index,
            documents=self.digest.documents,
            bytes=self.digest.bytes,
            digest=self.digest.text() if read_in_full else "",
            unchanged=counts["proved: unchanged"],
            attributed={change.value: attributed[change] for change in Change},
            undecided=sum(standings[standing] for standing in UNDECIDED),
            unseen=standings[Standing.UNSEEN],
            undecided_ids=self.undecided_ids,
            counts=dict(counts),
            findings=[*self.refuted, *self.unknown],
            findings_total=self.total,
            moment_lost=self.moment_lost,
        )
