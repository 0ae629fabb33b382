"""A night before it begins: what could stop it, which tenants it proves in which batches, and what that is going to take."""

from __future__ import annotations

import time
from datetime import date

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from steward.clients.blobs import open_blobs
from steward.clients.elasticsearch import SearchClient
from steward.clients.postgres import Connection, connect
from steward.clients.s3 import open_evidence_bucket
from steward.settings import load
from steward.snapshots import capture, catalogue
from steward.snapshots.checked import Attempt, Plan
from steward.snapshots.estimating import NIGHTS, Sizes, estimate_night
from steward.snapshots.plan_page import render_plan
from steward.snapshots.planning import plan_batches, plan_parts, plan_tenants
from steward.snapshots.policy import FanOut, SnapshotPolicy
from steward.snapshots.preconditions import (
    check_clocks,
    check_disk,
    check_not_full,
    check_policy,
    check_repository,
)
from steward.snapshots.report import SnapshotReport
from tasks.children import check_deployed
from tasks.durable import step
from tasks.offsite_place import check_place
from tasks.snapshots import PROVE, production, scratch

#: Of so many nights some are VERIFIED, or the estimate is none of this month.
_NIGHTS_READ = 3 * NIGHTS


@step("check preconditions", key="{attempt.moment}")
def check_preconditions(policy: SnapshotPolicy, attempt: Attempt) -> Plan:
    """Whatever could stop the night halfway, found before anything is touched; then tonight's tenants and batches."""
    check_policy(policy)
    proved, nights = _past(policy)
    _check_places(policy)
    with production(policy) as source, scratch(policy) as there:
        _check_source(policy, source)
        tenants = capture.tenant_sizes(source, policy.indices, proved)
        planned = plan_tenants(policy, tenants, attempt.night)
        batches = plan_batches(planned, policy.restore_bytes)
        parts = plan_parts(batches) if policy.fan_out is FanOut.WORKERS else []
        largest = max((Sizes.of(batch).bytes for batch in batches), default=0)
        fetched = min(Sizes.of(planned).bytes, policy.copy_proof_bytes) if policy.offsite else 0
        _check_scratch(policy, there, max(largest, fetched))
        if policy.offsite:
            check_place(policy, source, there, fetched)
        nodes = len(capture.disks(there))
    estimate = estimate_night(policy, Sizes.of(tenants), Sizes.of(planned), nights)
    estimate = estimate.model_copy(update={"runs": sum(map(len, parts)), "waves": len(parts), "scratch_nodes": nodes})
    return Plan(tenants=tenants, batches=batches, parts=parts, estimate=estimate)


def _past(policy: SnapshotPolicy) -> tuple[dict[str, date], list[SnapshotReport]]:
    """The night of each tenant's last proof, and the last nights."""
    with connect(load()) as db:
        check_clocks({"postgres": _database_offset(db)}, policy.clock_skew_seconds)
        return catalogue.proof_nights(db, policy.cluster), catalogue.history(db, policy.cluster, _NIGHTS_READ)


def _check_places(policy: SnapshotPolicy) -> None:
    """Whatever the night needs beside its clusters."""
    with open_evidence_bucket(load()):
        pass
    if policy.fan_out is FanOut.WORKERS:
        check_deployed(PROVE)


def _check_source(policy: SnapshotPolicy, source: SearchClient) -> None:
    check_repository(policy.repository, capture.repositories(source), policy.cluster, readonly=False)
    check_clocks(capture.clock_offsets(source, time.time), policy.clock_skew_seconds)
    check_not_full(capture.blocked_indices(source, policy.indices))
    if policy.blobs:
        with open_blobs(load(), policy.repository):
            pass


def _check_scratch(policy: SnapshotPolicy, there: SearchClient, needed: int) -> None:
    check_repository(policy.repository, capture.repositories(there), policy.scratch_cluster, readonly=True)
    check_clocks(capture.clock_offsets(there, time.time), policy.clock_skew_seconds)
    for node, (total, available) in capture.disks(there).items():
        check_disk(node, total, available, needed)


def _database_offset(db: Connection) -> float:
    asked = time.time()
    row = db.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    return capture.offset(row[0] if row else asked, asked, time.time())


@step("show plan", key="{attempt.moment}")
def show_plan(policy: SnapshotPolicy, attempt: Attempt, plan: Plan) -> None:
    """What is going to be done and what it takes, for whoever looks while it runs."""
    page = render_plan(policy, attempt, plan)
    try:
        create_markdown_artifact(page, key="snapshot-plan", description=f"plan of {attempt.night}")
    except httpx.HTTPError as error:
        # A page that cannot be shown keeps no night from being proved.
        get_run_logger().warning("the plan is not shown, Prefect's server failed: %s\n%s", type(error).__name__, page)
