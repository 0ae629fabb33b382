"""What a recovery came to: the value that its page, its evidence and its events are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.snapshots.findings import Finding, refuted, unknown
from steward.snapshots.recovery import RecoveredIndices
from steward.snapshots.recovery_plan import PlannedIndex, RecoveryPlan
from steward.snapshots.recovery_request import Names
from steward.snapshots.report import MOST_LISTED, Stage
from steward.verdicts import NotVerified, Verdict, combine


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Begun(_Value):
    """A person said yes: when it went on, and who that was by their own words."""

    at: AwareDatetime
    by: str
    remark: str = ""


class FetchedBlobs(_Value):
    """What was brought from the bucket, each blob by its version, its SHA-256 compared on the way."""

    blobs: int
    bytes: int
    seconds: float
    damaged: list[Finding] = []
    lost: list[str] = []
    """Indices of which a blob is damaged: they are not restored."""


class Compared(_Value):
    """What was restored, by the names that the indices had: the digests of their documents, and their aliases."""

    digests: dict[str, str]
    aliases: dict[str, list[str]] = {}
    seconds: float


class Opened(_Value):
    """When writers were let at what was restored, by the names that it has now."""

    names: list[str]
    at: AwareDatetime


class RecoveryFacts(_Value):
    """How far it came. `error` is what stopped it."""

    begun: Begun | None = None
    fetched: FetchedBlobs | None = None
    restored: RecoveredIndices | None = None
    compared: Compared | None = None
    opened: Opened | None = None
    error: str | None = None


class RecoveredIndex(_Value):
    """One index: as it was, as it is now."""

    name: str
    target: str
    tenant: str
    verdict: Verdict
    digest: str = ""
    expected: str | None = None
    opened: bool = False

    @property
    def documents(self) -> int:
        """In what was restored; 0 where it was not read."""
        return int(self.digest.split(":")[1]) if self.digest else 0


class RecoveryReport(_Value):
    """One recovery, whatever it came to."""

    cluster: str
    into: str
    names: Names
    repository: str
    snapshot: str
    night: date
    taken_at: AwareDatetime
    standing: str
    manifest_key: str
    manifest_version: str
    manifest_sha256: str
    because: str
    approved_by: str = ""
    remark: str = ""
    period: str
    attempt: int
    verdict: Verdict
    indices: list[RecoveredIndex]
    findings: list[Finding] = []
    findings_total: int = 0
    stages: list[Stage] = []
    error: str | None = None
    rto_seconds: float | None = None
    """Looking, and then from the answer's run to the moment at which tenants could write. None: it did not come to that."""
    waited_seconds: float | None = None
    """For the answer: not in `rto_seconds`."""
    started_at: AwareDatetime
    ended_at: AwareDatetime
    code: dict[str, Any] = {}
    host: str = ""

    @property
    def documents(self) -> int:
        """Read from what was restored."""
        return sum(each.documents for each in self.indices)

    @property
    def opened(self) -> list[str]:
        """What writers are let at, by its present names."""
        return [each.target for each in self.indices if each.opened]


class RecoveryNotVerified(NotVerified):
    """Something was restored, or was to be, and it is not proved that it is what the night held."""

    def __init__(self, report: RecoveryReport) -> None:
        first = report.error or (str(report.findings[0]) if report.findings else "nothing was compared")
        super().__init__(
            f"the recovery of {report.cluster} from {report.snapshot} is {report.verdict}: {first.splitlines()[0]}",
            hint="read the run's artifact restore-from-offsite and docs/runbooks/restore-from-offsite.md: "
            "what is not proved is closed to writers",
            verdict=report.verdict,
            report=report,
        )


class RecoveryDeclined(NotVerified):
    """A person said no, or nobody said anything. Nothing was fetched or restored."""


def may_open(plan: RecoveryPlan, facts: RecoveryFacts) -> list[str]:
    """Which indices writers are let at, by their present names: all that was restored whole and is not refuted.

    One that the night did not read has nothing to be compared with; whoever approved was told so.
    """
    whole = _whole(plan, facts)
    return [each.target for each in whole if _judge(plan, each, facts)[0] is not Verdict.REFUTED]


def compared_indices(plan: RecoveryPlan, facts: RecoveryFacts) -> list[PlannedIndex]:
    """Those whose documents are read after the restore: all that came back whole."""
    return _whole(plan, facts)


def _whole(plan: RecoveryPlan, facts: RecoveryFacts) -> list[PlannedIndex]:
    if facts.restored is None:
        return []
    broken = {each.index for each in facts.restored.failed}
    return [each for each in plan.indices if each.target in facts.restored.uuids and each.name not in broken]


def assess(plan: RecoveryPlan, facts: RecoveryFacts) -> tuple[Verdict, list[RecoveredIndex], list[Finding]]:
    """The verdict, each index's own, and what was found. An error says nothing for what it left unread: UNKNOWN."""
    judged = [(each, *_judge(plan, each, facts)) for each in plan.indices]
    findings = [finding for _, _, found in judged for finding in found]
    findings += [each for each in (facts.fetched.damaged if facts.fetched else []) if each not in findings]
    verdicts = [verdict for _, verdict, _ in judged] + [finding.verdict for finding in findings]
    if facts.error or facts.opened is None:
        verdicts.append(Verdict.UNKNOWN)
    opened = set(facts.opened.names) if facts.opened else set[str]()
    indices = [
        RecoveredIndex(
            name=each.name,
            target=each.target,
            tenant=each.tenant,
            verdict=verdict,
            digest=facts.compared.digests.get(each.name, "") if facts.compared else "",
            expected=each.digest,
            opened=each.target in opened,
        )
        for each, verdict, _ in judged
    ]
    return combine(verdicts), indices, sorted(findings, key=lambda finding: finding.verdict)


def _judge(plan: RecoveryPlan, index: PlannedIndex, facts: RecoveryFacts) -> tuple[Verdict, list[Finding]]:
    findings = [*_findings(index, facts), *_lost_aliases(plan, index, facts)]
    return (combine(finding.verdict for finding in findings) if findings else Verdict.VERIFIED), findings


def _findings(index: PlannedIndex, facts: RecoveryFacts) -> Iterable[Finding]:
    if facts.fetched and index.name in facts.fetched.lost:
        yield refuted(index.name, "not restored: a blob of it is damaged off site")
        return
    if facts.restored is None or index.target not in facts.restored.uuids:
        yield unknown(index.name, "not restored")
        return
    if broken := [each for each in facts.restored.failed if each.index == index.name]:
        for each in broken:
            find = refuted if each.damaged else unknown
            yield find(f"{index.name}[{each.shard}]", f"not restored: {each.reason}")
        return
    seen = facts.compared.digests.get(index.name) if facts.compared else None
    if seen is None:
        yield unknown(index.name, "restored, and its documents could not be read")
    elif index.digest is None:
        yield unknown(index.name, "restored, and not compared: its night did not read it in full")
    elif seen != index.digest:
        yield refuted(index.name, f"holds {_said(seen)}, its night found {_said(index.digest)}")


def _lost_aliases(plan: RecoveryPlan, index: PlannedIndex, facts: RecoveryFacts) -> Iterable[Finding]:
    """By an alias tenants read and write: without it they find nothing, however whole it is."""
    if plan.names is Names.AS_THEY_WERE and facts.compared and index.name in facts.compared.digests:
        for alias in sorted(set(index.aliases) - set(facts.compared.aliases.get(index.name, ()))):
            yield refuted(index.name, f"alias {alias} is lost")


def _said(digest: str) -> str:
    _, documents, digits = digest.split(":")
    return f"{int(documents):,} documents of digest {digits[:16]}…"


def make_report(
    plan: RecoveryPlan,
    because: str,
    facts: RecoveryFacts,
    *,
    period: str,
    attempt: int,
    ended_at: AwareDatetime,
    code: dict[str, Any],
    host: str,
) -> RecoveryReport:
    """The report on a recovery that went as far as *facts* say."""
    verdict, indices, findings = assess(plan, facts)
    begun = facts.begun
    return RecoveryReport(
        **{
            name: getattr(plan, name)
            for name in ("cluster", "into", "names", "repository", "snapshot", "night", "taken_at", "standing")
        },
        manifest_key=plan.manifest_key,
        manifest_version=plan.manifest_version,
        manifest_sha256=plan.manifest_sha256,
        because=because,
        approved_by=begun.by if begun else "",
        remark=begun.remark if begun else "",
        period=period,
        attempt=attempt,
        verdict=verdict,
        indices=indices,
        findings=findings[:MOST_LISTED],
        findings_total=len(findings),
        stages=_stages(plan, facts),
        error=facts.error,
        rto_seconds=_rto(plan, facts),
        waited_seconds=(begun.at - plan.ended_at).total_seconds() if begun else None,
        started_at=plan.began_at,
        ended_at=ended_at,
        code=code,
        host=host,
    )


def _rto(plan: RecoveryPlan, facts: RecoveryFacts) -> float | None:
    if facts.begun is None or facts.opened is None or not facts.opened.names:
        return None
    looking = (plan.ended_at - plan.began_at).total_seconds()
    return looking + (facts.opened.at - facts.begun.at).total_seconds()


def _stages(plan: RecoveryPlan, facts: RecoveryFacts) -> list[Stage]:
    stages = [Stage(name="plan", seconds=(plan.ended_at - plan.began_at).total_seconds())]
    if facts.fetched:
        stages.append(Stage(name="fetch", seconds=facts.fetched.seconds, bytes=facts.fetched.bytes))
    if facts.restored:
        stages.append(Stage(name="restore", seconds=facts.restored.seconds, bytes=facts.restored.bytes))
    if facts.compared:
        documents = sum(int(digest.split(":")[1]) for digest in facts.compared.digests.values())
        stages.append(Stage(name="compare", seconds=facts.compared.seconds, documents=documents))
    return stages


def tenants_of(indices: Sequence[RecoveredIndex]) -> dict[str, Verdict]:
    """Each tenant's verdict: that of its indices together."""
    names = sorted({each.tenant for each in indices})
    return {name: combine(each.verdict for each in indices if each.tenant == name) for name in names}
