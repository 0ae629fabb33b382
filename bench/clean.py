"""Clean runs: nights under live writes, where every difference has an innocent cause and none may be refuted."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.dataset import make_tenants
from bench.ground import progress
from bench.night import restored_copy
from demo.oplog import OperationLog
from demo.seeding import seed
from demo.tenants import Tenant, largest_tenants
from demo.writers import writing
from steward.search.names import TenantName
from steward.settings import Settings
from steward.snapshots.content import ContentReport
from steward.snapshots.proof import prove
from steward.verdicts import Verdict

TENANTS = 5
DOCUMENTS = 20_000
#: Above the 200 a second that is asked for, so that a stall does not take the whole below it.
RATE = 250


@dataclass(frozen=True)
class CleanRuns:
    """What all runs came to. `false_alarms`: runs that were REFUTED; `unproved`: runs that were UNKNOWN."""

    runs: int
    writes_per_second: float
    documents: int
    attributed: int
    undecided: int
    false_alarms: int
    unproved: int

    @property
    def undecided_ppm(self) -> float:
        """Per million documents compared."""
        return round(1e6 * self.undecided / max(1, self.documents), 1)


def clean_runs(settings: Settings, runs: int) -> CleanRuns:
    """*runs* nights of five tenants, one after the other, while they write."""
    tenants = [Tenant(f"clean-{tenant.name}"[:40], tenant.service) for tenant in largest_tenants(TENANTS)]
    make_tenants(settings, [TenantName(tenant.name) for tenant in tenants])
    seed(settings, tenants, DOCUMENTS)
    began = time.time()
    with writing(settings, tenants, rate=RATE) as log:
        reports = [_run(settings, tenants, number) for number in range(runs)]
        rate = _rate(log, began, time.time())
    return _summary(reports, rate)


def _run(settings: Settings, tenants: list[Tenant], number: int) -> ContentReport:
    indices = [TenantName(tenant.name).first_index for tenant in tenants]
    with restored_copy(settings, indices, f"clean-{number}") as copy:
        report = prove(copy.source, copy.scratch, copy.before, copy.restored, copy.taken.moments)
    progress(f"  clean run {number + 1}: {report.verdict}" + "".join(f"\n    {each}" for each in report.findings[:5]))
    return report


def _rate(log: OperationLog, began: float, ended: float) -> float:
    within = [entry for entry in log.acknowledged() if began <= entry.answered <= ended]
    return len(within) / (ended - began)


def _summary(reports: list[ContentReport], rate: float) -> CleanRuns:
    indices = [index for report in reports for index in report.indices]
    return CleanRuns(
        runs=len(reports),
        writes_per_second=round(rate, 1),
        documents=sum(index.documents for index in indices),
        attributed=sum(sum(index.attributed.values()) for index in indices),
        undecided=sum(index.undecided for index in indices),
        false_alarms=sum(report.verdict is Verdict.REFUTED for report in reports),
        unproved=sum(report.verdict is Verdict.UNKNOWN for report in reports),
    )
