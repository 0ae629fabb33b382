"""What each stage of a night hands on, and the report that they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.errors import StewardError
from steward.snapshots.blob_report import BlobsChecked
from steward.snapshots.content import IndexContent
from steward.snapshots.errors import Unproven
from steward.snapshots.estimating import Estimate
from steward.snapshots.findings import Finding
from steward.snapshots.golden import assess_matches
from steward.snapshots.offsite_report import OffsiteCopied, OffsiteProved
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import (
    MOST_LISTED,
    CopyDigest,
    SnapshotReport,
    TenantProof,
    find_gaps,
)
from steward.snapshots.stages import Stage, add_stages, seconds_covered
from steward.verdicts import Verdict, combine


class Checked(BaseModel):
    """One stage: what it took, and what it found. Golden matches are hits on the source by query name."""

    model_config = ConfigDict(frozen=True)

    stage: Stage | None = None
    """None: it is only what was found."""
    span: tuple[float, float] | None = None
    """When it began and ended, in epoch seconds, where that counts: stages of several runs overlap."""
    contents: list[IndexContent] = []
    findings: list[Finding] = []
    golden_matches: dict[str, int] = {}
    moment_lost: bool = False
    """It failed for the proof's fault, not the snapshot's."""
    blobs: BlobsChecked | None = None
    copied: OffsiteCopied | None = None
    copy_proved: OffsiteProved | None = None

    @staticmethod
    def of(found: BlobsChecked | OffsiteCopied | OffsiteProved) -> Checked:
        """What the check of the blobs, the copy or its proof came to."""
        return Checked(
            stage=found.stage,
            findings=list(found.findings),
            blobs=found if isinstance(found, BlobsChecked) else None,
            copied=found if isinstance(found, OffsiteCopied) else None,
            copy_proved=found if isinstance(found, OffsiteProved) else None,
        )

    @property
    def beyond(self) -> BlobsChecked | OffsiteCopied | OffsiteProved | None:
        """What has a verdict of its own, beyond its findings."""
        return self.blobs or self.copied or self.copy_proved

    @property
    def total(self) -> int:
        """Of its findings; those of contents are counted by index."""
        return self.beyond.findings_total if self.beyond else len(self.findings)


class Plan(BaseModel):
    """Tonight's tenants: all there are, and those to prove, in batches."""

    model_config = ConfigDict(frozen=True)

    tenants: list[TenantSize]
    batches: list[list[TenantSize]]
    parts: list[list[list[str]]] = []
    """Of each batch, which tenants each run has that any worker takes; empty: the night itself has all."""
    estimate: Estimate = Estimate(stages=[])

    @property
    def planned(self) -> list[str]:
        """The tenants to prove tonight."""
        return [tenant.tenant for batch in self.batches for tenant in batch]


class Attempt(BaseModel):
    """One attempt at one night, and when it began."""

    model_config = ConfigDict(frozen=True)

    cluster: str
    night: date
    attempt: int
    moment: int
    """1; or 2, after the first moment was lost in the same run."""
    snapshot: str
    started_at: AwareDatetime


def content_digests(checks: Iterable[Checked]) -> dict[str, str]:
    """What each index holds that was read in full, as `ALGORITHM:DOCUMENTS:HEX`."""
    return {each.index: each.digest for checked in checks for each in checked.contents if each.digest}


def is_worth_copying(checks: Sequence[Checked]) -> bool:
    """Whether its blobs are sound, and no second snapshot is about to take the place of this one."""
    refuted = any(finding.verdict is Verdict.REFUTED for finding in _findings(checks))
    lost = any(each.moment_lost for checked in checks for each in [*checked.contents, checked])
    return any(checked.blobs and checked.blobs.manifest for checked in checks) and (refuted or not lost)


def unproved_report(
    policy: SnapshotPolicy, attempt: Attempt, error: BaseException, checks: Sequence[Checked]
) -> SnapshotReport:
    """The report on a night that a step's error ended: UNKNOWN, with the error's own words where they are ours.

    REFUTED all the same where an earlier check had refuted: no later error takes that back.
    """
    found = _findings(checks)
    refuted = any(finding.verdict is Verdict.REFUTED for finding in found)
    return SnapshotReport(
        cluster=policy.cluster,
        repository=policy.repository,
        snapshot=attempt.snapshot,
        night=attempt.night,
        attempt=attempt.attempt,
        verdict=Verdict.REFUTED if refuted else Verdict.UNKNOWN,
        started_at=attempt.started_at,
        ended_at=attempt.started_at,
        findings=found[:MOST_LISTED],
        findings_total=_total(checks),
        **_beyond(checks),
        stages=add_stages(checked.stage for checked in checks if checked.stage),
        error=words_of(error),
        moment_lost=isinstance(error, Unproven) and not refuted,
    )


def _total(checks: Sequence[Checked]) -> int:
    return sum(checked.total + sum(each.findings_total for each in checked.contents) for checked in checks)


def _beyond(checks: Sequence[Checked]) -> dict[str, Any]:
    """The report's parts on blobs and copies, as far as the night came."""
    names = ("blobs", "copied", "copy_proved")
    return {name: next((found for each in checks if (found := getattr(each, name))), None) for name in names}


def words_of(error: BaseException) -> str:
    """What may be told of *error*. One that is not ours is named by type only: its text is nobody's promise to hold no secret."""
    return str(error) if isinstance(error, StewardError) else f"{type(error).__name__}: see the run's log"


def _findings(checks: Sequence[Checked]) -> list[Finding]:
    """All findings, those that refute first."""
    contents = [finding for checked in checks for each in checked.contents for finding in each.findings]
    return sorted(contents + [finding for checked in checks for finding in checked.findings], key=lambda f: f.verdict)


def assemble_report(
    policy: SnapshotPolicy,
    attempt: Attempt,
    plan: Plan,
    checks: Sequence[Checked],
    *,
    taken_at: datetime | None,
    previous_at: datetime | None,
) -> SnapshotReport:
    """The report on a night whose stages all ran. *previous_at*: when the previous VERIFIED snapshot was taken.

    When it ended is said as the verdict is kept.
    """
    contents = [each for checked in checks for each in checked.contents]
    matches = _sum(checked.golden_matches for checked in checks)
    gaps = assess_matches({query.name: matches.get(query.name, 0) for query in policy.golden_queries})
    gaps += find_gaps(policy, contents, plan.planned)
    findings = [finding for checked in checks for finding in checked.findings] + gaps
    every = [finding for each in contents for finding in each.findings] + findings
    parts = [*contents, *(checked.beyond for checked in checks if checked.beyond)]
    verdict = combine([each.verdict for each in [*findings, *parts]])
    return SnapshotReport(
        cluster=policy.cluster,
        repository=policy.repository,
        snapshot=attempt.snapshot,
        night=attempt.night,
        attempt=attempt.attempt,
        verdict=verdict,
        started_at=attempt.started_at,
        ended_at=attempt.started_at,
        taken_at=taken_at,
        rpo_seconds=(taken_at - previous_at).total_seconds() if taken_at and previous_at else None,
        rto_seconds=_restore_seconds(checks),
        tenants=[_tenant(tenant, contents, findings, plan, attempt.night) for tenant in plan.tenants],
        copies=[CopyDigest.of(each) for each in contents if each.digest],
        findings=sorted(every, key=lambda finding: finding.verdict)[:MOST_LISTED],
        findings_total=_total(checks) + len(gaps),
        attributed=_sum(each.attributed for each in contents),
        undecided=sum(each.undecided for each in contents),
        undecided_ids=[document for each in contents for document in each.undecided_ids][:MOST_LISTED],
        documents=sum(each.documents for each in contents),
        golden_matches=matches,
        # What is refuted stays so: a new snapshot would say nothing of this one.
        moment_lost=verdict is not Verdict.REFUTED and any(each.moment_lost for each in [*contents, *checks]),
        stages=add_stages(checked.stage for checked in checks if checked.stage),
        **_beyond(checks),
    )


RESTORE = "restore"


def _restore_seconds(checks: Sequence[Checked]) -> float:
    """Batches one after the other add up; what several workers restored at one time counts once."""
    restores = [checked for checked in checks if checked.stage and checked.stage.name == RESTORE]
    alone = sum(checked.stage.seconds for checked in restores if checked.stage and not checked.span)
    return alone + seconds_covered([checked.span for checked in restores if checked.span])


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _tenant(
    tenant: TenantSize, contents: Sequence[IndexContent], findings: Sequence[Finding], plan: Plan, night: date
) -> TenantProof:
    if tenant.tenant not in plan.planned:
        return TenantProof(tenant=tenant.tenant, verdict=None, proof_age_nights=tenant.age(night))
    own = [each for each in contents if each.index in tenant.indices]
    verdicts = [each.verdict for each in own]
    # By index or by its own name, so that a finding about a definition or a golden query counts against its tenant.
    named = {*tenant.indices, f"tenant {tenant.tenant}"}
    verdicts += [finding.verdict for finding in findings if finding.subject.split("[")[0] in named]
    verdict = combine(verdicts) if len(own) == len(tenant.indices) else combine([*verdicts, Verdict.UNKNOWN])
    return TenantProof(
        tenant=tenant.tenant,
        verdict=verdict,
        documents=sum(each.documents for each in own),
        digest=" ".join(each.digest for each in own),
        proof_age_nights=0 if verdict is Verdict.VERIFIED else tenant.age(night),
    )
