"""What a rotation came to: the value that certificate, evidence and event are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.keys.proof import NAMED, TableProof
from steward.verdicts import NotVerified, Verdict


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Stage(_Value):
    """One stage: what it took, in the attempt that ended it."""

    name: str
    seconds: float


class SweepReport(_Value):
    """One application's rows, re-encrypted."""

    application: str
    replaced: int
    """Rows, over all attempts."""
    replaced_here: int
    """Of these, in the attempt that ended it; what the rate is of."""
    seconds: float
    """That this attempt took, its rests included."""
    passes: int
    overtaken: int
    """Times that somebody else changed or held a row first."""
    damaged: int
    """Values that were left as they are."""
    resting_seconds: float
    quiet_milliseconds: float
    """The probe's 90th percentile before."""
    felt_milliseconds: float
    """The probe's 90th percentile during the sweep."""

    @property
    def rows_per_second(self) -> float:
        """Of this attempt."""
        return self.replaced_here / self.seconds if self.seconds else 0.0


class GoldenProof(_Value):
    """Rows whose content is known."""

    still: int = 0
    writes: int = 0
    """Writes during the rotation that were acknowledged."""
    faults: list[str] = []
    """What is not as it should be, in words."""


class TableReport(_Value):
    """One table of one application."""

    application: str
    table: str
    rows: int
    values: int
    erased: int
    lookups: int


class Proof(_Value):
    """All tables, from one moment of each database."""

    tables: list[TableReport]
    golden: GoldenProof
    below: dict[str, int] = {}
    """Rows under another than the current generation, by tenant."""
    damaged: dict[str, int] = {}
    """Damaged values, by tenant."""
    wrong_lookups: dict[str, int] = {}
    named: list[str] = []
    """The first damaged values, in words."""

    @property
    def refuted(self) -> set[str]:
        """Tenants with a finding: their old keys stay."""
        return {*self.below, *self.damaged, *self.wrong_lookups}

    @property
    def verdict(self) -> Verdict:
        """On what was proved."""
        if self.refuted or self.golden.faults:
            return Verdict.REFUTED
        return Verdict.VERIFIED if self.tables else Verdict.UNKNOWN


def proved(found: Sequence[tuple[str, TableProof]], golden: GoldenProof) -> Proof:
    """From each application's tables, and the golden rows."""
    return Proof(
        tables=[
            TableReport(
                application=application,
                table=each.table,
                rows=each.rows,
                values=each.values,
                erased=each.erased,
                lookups=each.lookups,
            )
            for application, each in found
        ],
        golden=golden,
        below=_summed(each.below for _, each in found),
        damaged=_summed(each.damaged for _, each in found),
        wrong_lookups=_summed(each.wrong_lookups for _, each in found),
        named=[str(damaged) for _, each in found for damaged in each.named][:NAMED],
    )


class Retirement(_Value):
    """What became of old keys."""

    retired: list[tuple[str, int]] = []
    """(tenant, key id) that are disabled, for a grace."""
    kept: dict[str, str] = {}
    """By tenant, why its old key was kept."""
    destroyed: list[tuple[str, int]] = []
    """Their grace was over."""
    reinstated: list[tuple[str, int]] = []
    """Taken back in their grace: something is under them after all."""
    disabled_keks: list[str] = []
    waiting_keks: list[str] = []
    """Older versions of the vault's key that retired keys still need, should one be taken back."""


class RotationReport(_Value):
    """One attempt at one rotation."""

    reason: str
    because: str
    subject: str
    period: str
    attempt: int
    verdict: Verdict
    started_at: AwareDatetime
    ended_at: AwareDatetime
    tenants: int = 0
    kek_before: str = ""
    """The vault's key and its newest version before, KEY/VERSION."""
    kek: str = ""
    """And since."""
    rewrapped: int = 0
    """Keys that are wrapped under that version too."""
    generations: int = 0
    sweeps: list[SweepReport] = []
    proof: Proof | None = None
    retirement: Retirement = Retirement()
    stages: list[Stage] = []
    error: str = ""

    @property
    def findings(self) -> list[str]:
        """Everything that is not as it should be, in words."""
        return [*_findings(self)]

    @property
    def rows(self) -> int:
        """That were proved."""
        return sum(table.rows for table in self.proof.tables) if self.proof else 0


def _findings(report: RotationReport) -> Iterable[str]:
    if report.error:
        yield report.error
    if report.proof:
        for tenant, count in sorted(report.proof.below.items()):
            yield f"tenant {tenant}: {count:,} rows are under another key than the current one"
        for tenant, count in sorted(report.proof.wrong_lookups.items()):
            yield f"tenant {tenant}: {count:,} look-ups by blind index did not find exactly the rows of their value"
        yield from report.proof.named
        if (unnamed := sum(report.proof.damaged.values()) - len(report.proof.named)) > 0:
            yield f"and {unnamed:,} more damaged values"
        yield from report.proof.golden.faults
    for tenant, why in sorted(report.retirement.kept.items()):
        yield f"tenant {tenant}: its old key was kept: {why}"
    for tenant, key_id in report.retirement.reinstated:
        yield f"tenant {tenant}: key {key_id} was taken back in its grace: rows are under it"


def verdict_on(report: RotationReport) -> Verdict:
    """VERIFIED: everything was proved, and no old key had to be kept."""
    if report.error or report.proof is None:
        return Verdict.UNKNOWN
    if report.retirement.kept or report.retirement.reinstated:
        return Verdict.REFUTED
    return report.proof.verdict


class RotationNotVerified(NotVerified):
    """A rotation that is not proved. Nothing is lost: old keys are kept where something is under them."""

    def __init__(self, report: RotationReport) -> None:
        first = next(iter(report.findings), "nothing was proved")
        super().__init__(
            f"the rotation of {report.subject} is {report.verdict}: {first.splitlines()[0]}",
            hint="read the run's artifact key-rotation and docs/runbooks/monthly-key-rotation.md; no key that is in use is lost",
            verdict=report.verdict,
            report=report,
        )


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            summed[name] = summed.get(name, 0) + count
    return summed
