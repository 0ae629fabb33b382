"""The checks of a night: what was restored against what the source held. They read, and change nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from steward.clients.postgres import connect
from steward.operations.effects import dead_effects, forget_effects, note_effects, own_effects
from steward.settings import load
from steward.snapshots import capture, catalogue
from steward.snapshots.api import SearchApi
from steward.snapshots.checked import Attempt, Checked
from steward.snapshots.definitions import compare_indices
from steward.snapshots.definitions import compare_templates as template_findings
from steward.snapshots.errors import CopiesCleared
from steward.snapshots.findings import Finding
from steward.snapshots.global_state import Additions, plan_additions, restore_global_state, take_away
from steward.snapshots.golden import Searched, compare_hits, disputed, find_documents, find_hits
from steward.snapshots.moments import Moments, keep_open
from steward.snapshots.policy import GoldenQuery, SnapshotPolicy
from steward.snapshots.proof import Progress, prove
from steward.snapshots.restoring import Restored
from steward.snapshots.stages import Stage
from steward.snapshots.taking import SnapshotTaken
from tasks.durable import step
from tasks.snapshots import COPIES, GLOBAL_STATE, production, scratch


@step("compare contents", run_name="compare contents of {restored.snapshot}", key="{restored.prefix}")
def compare_contents(policy: SnapshotPolicy, taken: SnapshotTaken, restored: Restored) -> Checked:
    """Every document of the copies against both points in time; differences are attributed, or refute."""
    started = time.monotonic()
    _check_noted(restored)
    # The union is Prefect's: called outside a coroutine it answers at once.
    progress = cast(
        "UUID",
        create_progress_artifact(
            0.0, key="snapshot-progress", description=f"comparing {len(restored.indices)} indices"
        ),
    )

    def show(done: int, of: int) -> None:
        update_progress_artifact(artifact_id=progress, progress=100 * done / of)

    with production(policy) as source, scratch(policy) as there:
        # Earlier batches may have taken longer than a point in time lives unused.
        keep_open(source, taken.before)
        keep_open(source, taken.moments)
        report = prove(source, there, taken.before, restored, taken.moments, progress=_paced(show))
    show(1, 1)
    documents = sum(each.documents for each in report.indices)
    return Checked(stage=_stage("compare contents", started, documents), contents=report.indices)


@step("compare definitions", run_name="compare definitions of {restored.snapshot}", key="{restored.prefix}")
def compare_definitions(policy: SnapshotPolicy, restored: Restored) -> Checked:
    """Mappings, settings and aliases of the copies against those captured around the snapshot."""
    started = time.monotonic()
    _check_noted(restored)
    with scratch(policy) as there, connect(load()) as db:
        before, after = catalogue.expectations(db, policy.cluster, restored.snapshot)
        copies = capture.capture_definitions(there, f"{restored.prefix}*").indices
    named = {name.removeprefix(restored.prefix): copy for name, copy in copies.items()}
    findings = compare_indices(before, after, named, set(restored.indices))
    return Checked(stage=_stage("compare definitions", started), findings=findings)


@step("compare templates", run_name="compare templates of {taken.name}", key="{attempt.moment}")
def compare_templates(policy: SnapshotPolicy, attempt: Attempt, taken: SnapshotTaken) -> Checked:
    """Templates in the snapshot's global state, restored on the scratch cluster and taken away again."""
    started = time.monotonic()
    with production(policy) as source, scratch(policy) as there, connect(load()) as db:
        before, after = catalogue.expectations(db, policy.cluster, taken.name)
        _take_away_additions(there)
        additions = plan_additions(source, there)
        note_effects(GLOBAL_STATE, [taken.name], additions.model_dump())
        restored = restore_global_state(there, policy.repository, taken.name)
        _take_away_additions(there)
    return Checked(stage=_stage("compare templates", started), findings=template_findings(before, after, restored))


def _check_noted(restored: Restored) -> None:
    """That nobody of ours has cleared the copies away: their absence would refute the snapshot."""
    if restored.prefix not in {each.effect_id for each in own_effects(COPIES)}:
        raise CopiesCleared(
            f"the copies {restored.prefix}* were cleared away before they could be compared",
            hint="an earlier attempt gave up on them; a new snapshot is taken, or run the night again",
        )


def _take_away_additions(there: SearchApi) -> None:
    """What this step, or an earlier try at it, has added to the scratch cluster."""
    added = dead_effects(GLOBAL_STATE)
    for each in added:
        take_away(there, Additions.model_validate(each.detail))
    forget_effects(added)


@step("golden queries", run_name="golden queries of {restored.snapshot}", key="{restored.prefix}")
def run_golden_queries(policy: SnapshotPolicy, taken: SnapshotTaken, restored: Restored) -> Checked:
    """Every golden query on both sides, shard by shard: the same documents must be found."""
    started, matches = time.monotonic(), dict.fromkeys((q.name for q in policy.golden_queries), 0)
    findings: list[Finding] = []
    _check_noted(restored)
    with production(policy) as source, scratch(policy) as copies:
        for here, there in _shards(copies, taken.before, restored):
            for query in policy.golden_queries:
                found, differing = _compare_query(source, copies, here, there, query)
                matches[query.name] += found
                findings += differing
    return Checked(stage=_stage("golden queries", started), findings=findings, golden_matches=matches)


def _shards(scratch: SearchApi, before: Moments, restored: Restored) -> Iterator[tuple[Searched, Searched]]:
    """Each shard that was restored and still is, at the source's first point in time and in the copy.

    What is missing is a finding of the comparison of contents; asking it here would end the night without a verdict.
    """
    there = capture.restored_indices(scratch, restored.prefix)
    whole = {shard.key for shard in restored.shards} - {(failed.index, failed.shard) for failed in restored.failed}
    for moment in before.moments:
        copy = f"{restored.prefix}{moment.index}"
        if moment.key in whole and copy in there:
            here = Searched(index=moment.index, shard=moment.shard, point_in_time=moment.pit)
            yield here, Searched(index=copy, shard=moment.shard)


def _compare_query(
    source: SearchApi, scratch: SearchApi, here: Searched, there: Searched, query: GoldenQuery
) -> tuple[int, list[Finding]]:
    original, copy = find_hits(source, here, query.query), find_hits(scratch, there, query.query)
    subject = f"{here.index}[{here.shard}] golden query {query.name}"
    if not (ids := disputed(original, copy)):
        return len(original.found), []
    held, restored = find_documents(source, here, ids), find_documents(scratch, there, ids)
    return len(original.found), compare_hits(subject, ids, held, restored)


def _stage(name: str, started: float, documents: int | None = None) -> Stage:
    return Stage(name=name, seconds=round(time.monotonic() - started, 3), documents=documents)


def _paced(show: Progress, every_seconds: float = 2.0) -> Progress:
    """*show*, called at most every so often: each call is a request to Prefect's server."""
    last = time.monotonic()

    def paced(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every_seconds:
            last = time.monotonic()
            show(done, of)

    return paced
