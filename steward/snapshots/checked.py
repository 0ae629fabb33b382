"""What each stage of a night hands on, and the report that they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.snapshots.findings import Finding
from steward.snapshots.golden import assess_matches
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import (
    MOST_LISTED,
    IndexProof,
    SnapshotReport,
    Stage,
    TenantProof,
    assess_index,
    assess_night,
)
from steward.verdicts import Verdict, combine


class Checked(BaseModel):
    """One stage: what it took, and what it found. Golden matches are hits on the source by query name."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    proofs: list[IndexProof] = []
    findings: list[Finding] = []
    golden_matches: dict[str, int] = {}


class Plan(BaseModel):
    """Tonight's tenants: all there are, and those to prove, in batches."""

    model_config = ConfigDict(frozen=True)

    tenants: list[TenantSize]
    batches: list[list[TenantSize]]

    @property
    def planned(self) -> list[str]:
        """The tenants to prove tonight."""
        return [tenant.tenant for batch in self.batches for tenant in batch]


class Attempt(BaseModel):
    """Identity and beginning of an attempt, as the report states them."""

    model_config = ConfigDict(frozen=True)

    night: date
    number: int
    snapshot: str
    started_at: AwareDatetime


def assemble_report(
    policy: SnapshotPolicy,
    attempt: Attempt,
    plan: Plan,
    checks: Sequence[Checked],
    *,
    taken_at: datetime | None,
    previous_at: datetime | None,
    ended_at: datetime,
) -> SnapshotReport:
    """The report on a night whose stages all ran. *previous_at*: when the previous VERIFIED snapshot was taken."""
    proofs = [proof for checked in checks for proof in checked.proofs]
    matches = _sum(checked.golden_matches for checked in checks)
    findings = [finding for checked in checks for finding in checked.findings]
    findings += assess_matches({query.name: matches.get(query.name, 0) for query in policy.golden_queries})
    every = [finding for proof in proofs for finding in proof.findings] + findings
    return SnapshotReport(
        cluster=policy.cluster,
        repository=policy.repository,
        snapshot=attempt.snapshot,
        night=attempt.night,
        attempt=attempt.number,
        verdict=assess_night(policy, proofs, findings, plan.planned),
        started_at=attempt.started_at,
        ended_at=ended_at,
        taken_at=taken_at,
        rpo_seconds=(taken_at - previous_at).total_seconds() if taken_at and previous_at else None,
        rto_seconds=sum(checked.stage.seconds for checked in checks if checked.stage.name == RESTORE),
        tenants=[_tenant(tenant, proofs, findings, plan, attempt.night) for tenant in plan.tenants],
        findings=sorted(every, key=lambda finding: finding.verdict)[:MOST_LISTED],
        findings_total=len(every),
        attributed=_sum(proof.attributed for proof in proofs),
        undecided=sum(proof.undecided for proof in proofs),
        undecided_ids=[each for proof in proofs for each in proof.undecided_ids][:MOST_LISTED],
        documents=sum(proof.documents for proof in proofs),
        golden_matches=matches,
        stages=add_stages(checked.stage for checked in checks),
    )


RESTORE = "restore"


def add_stages(stages: Iterable[Stage]) -> list[Stage]:
    """One stage a name, in order of first appearance: batches add up."""
    added: dict[str, Stage] = {}
    for stage in stages:
        before = added.get(stage.name)
        added[stage.name] = stage if before is None else _both(before, stage)
    return list(added.values())


def _both(one: Stage, other: Stage) -> Stage:
    return Stage(
        name=one.name,
        seconds=one.seconds + other.seconds,
        bytes=_plus(one.bytes, other.bytes),
        documents=_plus(one.documents, other.documents),
    )


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _tenant(
    tenant: TenantSize, proofs: Sequence[IndexProof], findings: Sequence[Finding], plan: Plan, night: date
) -> TenantProof:
    own = [proof for proof in proofs if proof.tenant == tenant.tenant]
    if tenant.tenant not in plan.planned:
        return TenantProof(tenant=tenant.tenant, verdict=None, proof_age_nights=tenant.age(night))
    verdicts = [assess_index(proof) for proof in own]
    # Index names, so that a finding about a definition or a golden query counts against its tenant.
    verdicts += [finding.verdict for finding in findings if finding.subject.split("[")[0] in tenant.indices]
    verdict = combine(verdicts) if len(own) == len(tenant.indices) else combine([*verdicts, Verdict.UNKNOWN])
    return TenantProof(
        tenant=tenant.tenant,
        verdict=verdict,
        documents=sum(proof.documents for proof in own),
        digest=" ".join(proof.digest for proof in sorted(own, key=lambda proof: proof.index)),
        proof_age_nights=0 if verdict is Verdict.VERIFIED else tenant.age(night),
    )
