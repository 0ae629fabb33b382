"""What came of an erasure: its verdict, and what people read of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.keys.backups_report import MadeBy
from steward.keys.erasure import Erased, Remains
from steward.keys.erasure_proof import Shredded, Tried
from steward.verdicts import NotVerified, Verdict, combine


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampled(_Frozen):
    """What opened before anything was erased."""

    tenants_own: tuple[Tried, ...] = ()
    others: tuple[Tried, ...] = ()


class Proof(_Frozen):
    """What the keyring and the applications' databases show afterwards."""

    remains: Remains
    load_refused: bool
    """Whether the keyring itself says TenantErased."""
    shredded: tuple[Shredded, ...]
    others: tuple[Tried, ...]


class Finding(_Frozen):
    """Why it is not VERIFIED."""

    verdict: Verdict
    fact: str


class ErasureBegun(_Frozen):
    """What a run starts from."""

    started_at: AwareDatetime
    retention_days: int
    remains: Remains


class ErasureFacts(_Frozen):
    """What a run came to before it is judged; what it did not come to is absent."""

    erased: Erased | None = None
    lagging: tuple[str, ...] = ()
    """Processes that may hold the tenant's keys in memory."""
    before: Sampled = Sampled()
    proof: Proof | None = None
    error: str | None = None


class ErasureReport(_Frozen):
    """The run's result."""

    tenant: str
    reason: str
    period: str
    attempt: int
    verdict: Verdict
    erased: Erased | None = None
    lagging: tuple[str, ...] = ()
    """Processes that may hold the tenant's keys in memory."""
    before: Sampled = Sampled()
    proof: Proof | None = None
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    retention_days: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    made_by: MadeBy = MadeBy()


class ErasureNotVerified(NotVerified):
    """The run ended REFUTED or UNKNOWN."""

    def __init__(self, report: ErasureReport) -> None:
        first = report.error or next((each.fact for each in report.findings), "nothing was looked at")
        super().__init__(
            f"the erasure of {report.tenant} is {report.verdict}: {first.splitlines()[0]}",
            hint="read the run's artifact tenant-erasure and docs/runbooks/shred-tenant.md; running it again is harmless",
            verdict=report.verdict,
            report=report,
        )


def assess_erasure(facts: ErasureFacts) -> tuple[Verdict, tuple[Finding, ...]]:
    """The verdict, with its reasons. What was not proved is UNKNOWN."""
    findings = list(_of_readers(facts.lagging))
    if (proof := facts.proof) is not None:
        findings += [*_of_keyring(proof), *_of_rows(proof), *_of_others(facts.before, proof)]
    proved = Verdict.VERIFIED if proof and not facts.error else Verdict.UNKNOWN
    return combine([proved, *(each.verdict for each in findings)]), tuple(findings)


def _of_keyring(proof: Proof) -> Iterator[Finding]:
    remains = proof.remains
    if remains.erased_at is None or not proof.load_refused:
        yield _refuted("the keyring still gives the tenant's keys")
    if remains.wraps:
        yield _refuted(f"the keyring still has {remains.wraps} wrapped keys of the tenant")
    if alive := {state: count for state, count in remains.states.items() if state != "destroyed"}:
        yield _refuted(f"the keyring has generations of the tenant that are not destroyed: {alive}")


def _of_rows(proof: Proof) -> Iterator[Finding]:
    for each in proof.shredded:
        where = f"table {each.table} of {each.application}"
        if each.opened:
            yield _refuted(f"{each.opened:,} of {each.values:,} values of the tenant in {where} still decrypt")
        if each.in_clear:
            yield _refuted(f"{each.in_clear:,} values of the tenant in {where} are no ciphertexts: delete these rows")
        if each.strange_keys:
            yield _refuted(f"{each.strange_keys:,} values of the tenant in {where} are under keys that are not its own")


def _of_others(before: Sampled, proof: Proof) -> Iterator[Finding]:
    known = {place for each in before.others for place in each.failed}
    for each in proof.others:
        where = f"table {each.table} of {each.application}"
        failed = each.values - each.opened
        if set(each.failed) - known:
            yield _refuted(f"{failed:,} of {each.values:,} sampled values of other tenants in {where} do not decrypt")
        elif failed:
            # They did not before either, so it was not this; and it is not all well.
            yield Finding(
                verdict=Verdict.UNKNOWN,
                fact=f"{failed:,} of {each.values:,} sampled values of other tenants in {where} do not decrypt, and did "
                "not before the erasure",
            )


def _of_readers(lagging: Sequence[str]) -> Iterator[Finding]:
    if lagging:
        yield Finding(
            verdict=Verdict.UNKNOWN, fact=f"processes that may still hold its keys in memory: {'; '.join(lagging)}"
        )


def _refuted(fact: str) -> Finding:
    return Finding(verdict=Verdict.REFUTED, fact=fact)


def render_erasure(report: ErasureReport) -> str:
    """Markdown; its line `verdict: …` is what machines and tired people look for."""
    return "\n".join(
        [
            f"# Erasure of tenant {report.tenant}",
            "",
            f"verdict: {report.verdict}",
            "",
            *(f"> {line}" for line in (report.error or "").splitlines()),
            *(f"- {each.verdict}: {each.fact}" for each in report.findings),
            "",
            *_completeness(report),
            "",
            "| figure | before | after |",
            "| --- | --- | --- |",
            *(f"| {name} | {before} | {after} |" for name, before, after in _figures(report)),
            "",
        ]
    )


def _completeness(report: ErasureReport) -> Iterator[str]:
    if report.erased is None:
        yield "Nothing was erased."
        return
    was = "were gone already since" if report.erased.already else "went at"
    yield f"Its keys {was} {_moment(report.erased.erased_at)}. Reason given: {report.reason}"
    yield ""
    yield (
        f"**Complete after {_moment(report.erased.complete_after)}**: until then backups of the keyring may have its keys "
        f"({report.retention_days} days). The run of backup-keyring that removes the last of them says so."
    )


def _figures(report: ErasureReport) -> Iterator[tuple[str, str, str]]:
    proof, before = report.proof, report.before
    yield "wrapped keys in the keyring", "—", str(proof.remains.wraps) if proof else "—"
    yield (
        "the tenant's values that decrypt",
        _opened(before.tenants_own) + (", sampled" if before.tenants_own else ""),
        f"{sum(e.opened for e in proof.shredded):,} of {sum(e.values for e in proof.shredded):,}, all"
        if proof
        else "—",
    )
    yield "others' values that decrypt, sampled", _opened(before.others), _opened(proof.others) if proof else "—"


def _opened(tried: Sequence[Tried]) -> str:
    return f"{sum(each.opened for each in tried):,} of {sum(each.values for each in tried):,}" if tried else "—"


def _moment(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
