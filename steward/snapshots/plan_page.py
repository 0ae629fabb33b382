"""A night's plan for people: what is to be done, in how many batches, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.snapshots.checked import Attempt, Plan
from steward.snapshots.estimating import Sizes
from steward.snapshots.planning import TenantSize
from steward.snapshots.policy import NIGHT_SECONDS, SnapshotPolicy

MOST_LISTED = 20
WORKERS = (1, 2, 4, 8)


def render_plan(policy: SnapshotPolicy, attempt: Attempt, plan: Plan) -> str:
    """The plan as markdown. What is estimated says from how many nights; what is assumed says that."""
    planned = [tenant for batch in plan.batches for tenant in batch]
    told = (
        f"Cluster **{policy.cluster}**: {len(planned)} of {len(plan.tenants)} tenants are proved, {_where(plan)}; "
        f"at most {policy.restore_bytes:,} bytes are restored at one time."
    )
    return "\n".join(
        [
            f"# Plan of night {attempt.night}, attempt {attempt.attempt}",
            "",
            told,
            "",
            *_duration(plan),
            "",
            *_sizes(plan, planned),
            "",
            *_stages(plan),
            "",
            *_largest(planned),
        ]
    )


def _where(plan: Plan) -> str:
    batches = f"in {len(plan.batches)} {'batch' if len(plan.batches) == 1 else 'batches'}"
    runs = sum(map(len, plan.parts))
    return f"{batches} by {runs} runs that any worker takes" if plan.parts else f"{batches} by this run"


def _duration(plan: Plan) -> Iterator[str]:
    """How long it takes; a warning where that is longer than a night may take."""
    if plan.parts:
        by_workers = ", ".join(f"{_time(plan.estimate.seconds_with(n))} with {n}" for n in WORKERS)
        yield f"Estimated: {by_workers} workers that are free for it."
    else:
        yield f"Estimated: {_time(plan.estimate.seconds)}."
    least = plan.estimate.seconds_with(WORKERS[-1]) if plan.parts else plan.estimate.seconds
    if least > NIGHT_SECONDS:
        yield ""
        yield (
            f"> WARNING: that is more than the {_time(NIGHT_SECONDS)} of a night, which would end UNKNOWN: let coverage rotate, "
            "or fan out to more workers"
        )


def _sizes(plan: Plan, planned: Sequence[TenantSize]) -> Iterator[str]:
    yield from ("| what | tenants | bytes | shards | documents |", "| --- | ---: | ---: | ---: | ---: |")
    largest = max(map(Sizes.of, plan.batches), key=lambda size: size.bytes, default=Sizes())
    rows = {"in the snapshot": Sizes.of(plan.tenants), "proved tonight": Sizes.of(planned), "largest batch": largest}
    for name, size in rows.items():
        yield f"| {name} | {size.tenants:,} | {size.bytes:,} | {size.shards:,} | {size.documents:,} |"


def _stages(plan: Plan) -> Iterator[str]:
    yield from ("| stage | seconds of work | by |", "| --- | ---: | --- |")
    for stage in plan.estimate.stages:
        nights = f"the last {stage.nights} VERIFIED nights" if stage.nights > 1 else "the last VERIFIED night"
        yield f"| {stage.name} | {stage.seconds:,.1f} | {nights if stage.nights else 'assumption: no night has measured it'} |"


def _largest(planned: Sequence[TenantSize]) -> Iterator[str]:
    yield from ("| largest tenants | bytes | shards | documents |", "| --- | ---: | ---: | ---: |")
    for each in sorted(planned, key=lambda tenant: (-tenant.bytes, tenant.tenant))[:MOST_LISTED]:
        yield f"| {each.tenant} | {each.bytes:,} | {each.shards:,} | {each.documents:,} |"
    if len(planned) > MOST_LISTED:
        yield f"| … and {len(planned) - MOST_LISTED:,} more | | | |"


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
