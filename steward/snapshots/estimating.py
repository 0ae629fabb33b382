"""What a night is going to take, from tonight's sizes and from how fast the last nights were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from statistics import median
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.report import SnapshotReport
from steward.verdicts import Verdict

#: Of so many last VERIFIED nights the median counts: one slow night changes nothing.
NIGHTS = 7
MIB = 1 << 20


class Per(StrEnum):
    """What a stage's seconds grow with."""

    BYTES = "bytes"
    DOCUMENTS = "documents"
    TENANTS = "tenants"
    NIGHT = "night"
    """With what changed since last night, which nobody knows yet: as long as the last nights."""


class Pace(NamedTuple):
    """How fast a stage goes where no night has measured it: *amount* of *per* a second."""

    per: Per
    amount: float


#: Of the replica on two cores, halved: whoever has had no night should not expect too much. After one night, its own count.
ASSUMED = {
    "snapshot": Pace(Per.NIGHT, 20 * MIB),
    "blobs": Pace(Per.NIGHT, 200 * MIB),
    "restore": Pace(Per.BYTES, 20 * MIB),
    "compare contents": Pace(Per.DOCUMENTS, 25_000),
    "compare definitions": Pace(Per.TENANTS, 10),
    "golden queries": Pace(Per.TENANTS, 10),
    "compare templates": Pace(Per.NIGHT, 0),
    "copy": Pace(Per.NIGHT, 20 * MIB),
    "copy-proof": Pace(Per.NIGHT, 10 * MIB),
}
#: Those that runs of prove-tenant do, side by side.
SHARED = ("restore", "compare contents", "compare definitions", "golden queries")
#: Until a run of prove-tenant has been taken by a worker and does its first step, on two busy cores.
RUN_SECONDS = 5.0
#: Seconds of a stage that has no size at all.
_SIZELESS_SECONDS = 2.0


class Sizes(BaseModel):
    """Of some tenants together."""

    model_config = ConfigDict(frozen=True)

    tenants: int = 0
    bytes: int = 0
    shards: int = 0
    documents: int = 0

    @staticmethod
    def of(tenants: Iterable[TenantSize]) -> Sizes:
        """Added up."""
        every = list(tenants)
        return Sizes(
            tenants=len(every),
            bytes=sum(each.bytes for each in every),
            shards=sum(each.shards for each in every),
            documents=sum(each.documents for each in every),
        )

    def amount(self, per: Per) -> int:
        """How much there is of what *per* counts; bytes, where nobody knows it."""
        return {Per.DOCUMENTS: self.documents, Per.TENANTS: self.tenants}.get(per, self.bytes)


class StageEstimate(BaseModel):
    """One stage's seconds of work; measured in so many nights, or assumed where that is 0."""

    model_config = ConfigDict(frozen=True)

    name: str
    seconds: float
    nights: int


class Estimate(BaseModel):
    """The night's stages, and its seconds from end to end by the number of workers."""

    model_config = ConfigDict(frozen=True)

    stages: list[StageEstimate]
    runs: int = 0
    """Of prove-tenant; 0: the night does all itself."""
    waves: int = 0
    """Of those runs: one begins when the one before it has ended."""
    scratch_nodes: int | None = None
    """That restore side by side; None: as many as there are workers."""

    @property
    def seconds(self) -> float:
        """All in one run."""
        return sum(stage.seconds for stage in self.stages)

    def seconds_with(self, workers: int) -> float:
        """Where *workers* share what can be shared, and one does the rest. What restores is the scratch cluster."""
        took = {stage.name: stage.seconds for stage in self.stages}
        restore = took.pop("restore", 0.0)
        shared = sum(seconds for name, seconds in took.items() if name in SHARED) + RUN_SECONDS * self.runs
        alone = sum(seconds for name, seconds in took.items() if name not in SHARED)
        busy = min(workers, self.runs / self.waves) if self.waves else workers
        return alone + shared / busy + restore / min(busy, self.scratch_nodes or busy)


def stages_of(policy: SnapshotPolicy) -> list[str]:
    """The stages of a night by *policy*, in their order."""
    left_out = {*(() if policy.blobs else ("blobs",)), *(() if policy.offsite else ("copy", "copy-proof"))}
    return [name for name in ASSUMED if name not in left_out]


def estimate_night(policy: SnapshotPolicy, held: Sizes, planned: Sizes, nights: Sequence[SnapshotReport]) -> Estimate:
    """What a night takes.

    Args:
        policy: Which stages it has.
        held: All tenants', which a first night takes whole.
        planned: Of the tenants that are proved tonight.
        nights: Past ones, the newest first; of those the last that are VERIFIED count.
    """
    past = [night for night in nights if night.verdict is Verdict.VERIFIED][:NIGHTS]
    return Estimate(stages=[_stage(name, policy, held, planned, past) for name in stages_of(policy)])


def _stage(
    name: str, policy: SnapshotPolicy, held: Sizes, planned: Sizes, past: Sequence[SnapshotReport]
) -> StageEstimate:
    assumed = ASSUMED[name]
    if costs := [cost for night in past if (cost := _cost(name, assumed.per, night)) is not None]:
        amount = 1 if assumed.per is Per.NIGHT else planned.amount(assumed.per)
        return StageEstimate(name=name, seconds=round(median(costs) * amount, 1), nights=len(costs))
    if not assumed.amount:
        return StageEstimate(name=name, seconds=_SIZELESS_SECONDS, nights=0)
    whole = (planned if assumed.per is not Per.NIGHT else held).amount(assumed.per)
    # A copy is proved by as much of it as the policy lets be fetched.
    amount = min(whole, policy.copy_proof_bytes) if name == "copy-proof" else whole
    return StageEstimate(name=name, seconds=round(amount / assumed.amount, 1), nights=0)


def _cost(name: str, per: Per, night: SnapshotReport) -> float | None:
    """Seconds that one of what *per* counts took on that night; None: it was not measured."""
    stage = next((stage for stage in night.stages if stage.name == name), None)
    if stage is None:
        return None
    amount = {
        Per.BYTES: stage.bytes,
        Per.DOCUMENTS: stage.documents,
        Per.TENANTS: sum(1 for tenant in night.tenants if tenant.verdict),
        Per.NIGHT: 1,
    }[per]
    return stage.seconds / amount if amount else None
