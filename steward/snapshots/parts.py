"""Some tenants of a night, proved by a run of their own: what it is asked, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from steward.errors import BadInput, StewardError
from steward.snapshots.checked import Checked, Plan, words_of
from steward.snapshots.errors import Unproven
from steward.snapshots.findings import unknown
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.taking import SnapshotTaken
from steward.verdicts import NotVerified, Verdict, combine


class NightOver(StewardError):
    """The night for which tenants were to be proved has ended, or begun anew."""


class TenantsRequest(BaseModel):
    """What a night asks of such a run. All else that it needs to know, the night has recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: SnapshotPolicy = Field(title="Policy", description="the night's")
    operation: int = Field(title="Operation", description="the night's, in the operation ledger")
    round: int = Field(ge=1, title="Round", description="of that operation")
    moment: int = Field(ge=1, le=2, title="Moment", description="first or second snapshot of the round")
    batch: int = Field(ge=0, title="Batch", description="of the night's plan")
    tenants: list[str] = Field(min_length=1, title="Tenants", description="of that batch")

    @property
    def subject(self) -> str:
        """The cluster and the tenants, of which no two runs of a night have the same first one."""
        first, *others = self.tenants
        return f"{self.policy.cluster}/{first}" + (f" and {len(others)} more" if others else "")

    def sizes(self, plan: Plan) -> list[TenantSize]:
        """These tenants, as *plan* has them; BadInput where it does not have them in that batch."""
        batch = plan.batches[self.batch] if self.batch < len(plan.batches) else []
        if lacking := sorted(set(self.tenants) - {tenant.tenant for tenant in batch}):
            raise BadInput(
                f"tenant {lacking[0]} is not in batch {self.batch} of the night's plan",
                hint="nightly-snapshot starts these runs; none is started by hand",
            )
        return [tenant for tenant in batch if tenant.tenant in self.tenants]


class TenantsProved(BaseModel):
    """What such a run came to; an error leaves what was checked before it."""

    model_config = ConfigDict(frozen=True)

    snapshot: str
    tenants: list[str]
    checks: list[Checked]

    @property
    def verdict(self) -> Verdict:
        """Of these tenants alone. How much may stay undecided, the night says."""
        found = [each.verdict for checked in self.checks for each in [*checked.contents, *checked.findings]]
        return combine(found)


class TenantsNotProved(NotVerified):
    """The run found something wrong, or could not find out. The night judges, over all of its runs."""

    def __init__(self, proved: TenantsProved) -> None:
        every = [finding for checked in proved.checks for finding in checked.findings]
        every += [finding for checked in proved.checks for each in checked.contents for finding in each.findings]
        first = str(min(every, key=lambda each: each.verdict)) if every else "nothing was compared"
        super().__init__(
            f"{proved.tenants[0]} of {proved.snapshot}: {first.splitlines()[0]}",
            hint="the night's own artifact snapshot-certificate has the whole",
            verdict=proved.verdict,
            report=proved,
        )


def failed_check(tenants: Sequence[str], error: BaseException) -> Checked:
    """What is to be said of *tenants* where *error* ended their proof: nothing against them, and nothing for them."""
    said = words_of(error).splitlines()[0]
    return Checked(
        findings=[unknown(f"tenant {tenant}", f"could not be proved: {said}") for tenant in tenants],
        moment_lost=isinstance(error, Unproven),
    )


def narrowed(taken: SnapshotTaken, tenants: Sequence[TenantSize]) -> SnapshotTaken:
    """*taken*, with the points in time of these tenants' indices alone."""
    indices = {index for tenant in tenants for index in tenant.indices}
    return taken.model_copy(update={"before": taken.before.of(indices), "moments": taken.moments.of(indices)})
