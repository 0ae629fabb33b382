"""Clean runs under live writes: no false alarm, and every attribution agrees with the writers' own log.

`STEWARD_DRILL_CASES` says how many: one by default, 20 by `make drill-clean-runs`. They differ by their seed alone.
"""

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import deployments.elasticsearch
from demo.seeding import seed
from demo.tenants import Tenant
from demo.writers import writing
from steward.clients.elasticsearch import open_search
from steward.search.names import TenantName
from steward.snapshots.assessment import Change, Standing
from steward.snapshots.moments import close_points_in_time, open_moment
from steward.snapshots.proof import prove
from steward.snapshots.restoring import drop_restored, restore
from steward.snapshots.taking import take_snapshot
from steward.verdicts import Verdict

CASES = int(os.environ.get("STEWARD_DRILL_CASES", "1"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
RATE = 240
DOCUMENTS = 3_000
TENANTS = [Tenant("clean-runs-ssm", "ssm"), Tenant("clean-runs-ecs", "ecs")]
INDICES = [TenantName(tenant.name).first_index for tenant in TENANTS]


@pytest.fixture
def clients(settings):
    with (
        open_search(settings, "production", "provision") as provision,
        open_search(settings, "production", "snapshot") as source,
        open_search(settings, "scratch", "restore") as scratch,
    ):
        yield provision, source, scratch


@pytest.fixture
def seeded(settings, clients):
    provision, _, _ = clients
    template = Path(deployments.elasticsearch.__file__).with_name("tenant_template.json").read_text()
    provision.request("PUT", "/_index_template/tenant", json.loads(template))
    for tenant, index in zip(TENANTS, INDICES, strict=True):
        provision.request("DELETE", f"/{index}", ok=(404,))
        # Two shards, so that routing decides where a document is.
        body = {"settings": {"number_of_shards": 2}, "aliases": {tenant.alias: {"is_write_index": True}}}
        provision.request("PUT", f"/{index}", body)
    seed(settings, TENANTS, DOCUMENTS)
    yield
    for index in INDICES:
        provision.request("DELETE", f"/{index}", ok=(404,))


def one_run(settings, clients, name, seed):
    """One snapshot under writes, and what was decided of each document that differs."""
    _, source, scratch = clients
    opened, decided, restored = [], [], None
    try:
        with writing(settings, TENANTS, rate=RATE, seed=seed) as log:
            m0 = open_moment(source, INDICES, on_opened=opened.extend)
            taken = take_snapshot(
                source, "nightly", name, INDICES, m0, {"run": name}, include_global_state=False, on_opened=opened.extend
            )
            restored = restore(scratch, "nightly", name, INDICES, f"{name}-")
            # While the writers still write: the points in time must not follow them.
            report = prove(source, scratch, m0, restored, taken.moments, decided=lambda *said: decided.append(said))
        return log.acknowledged(), m0, restored, taken.moments, report, decided
    finally:
        close_points_in_time(source, opened)
        source.request("DELETE", f"/_snapshot/nightly/{name}", ok=(404,))
        if restored:
            drop_restored(scratch, restored.uuids)


@pytest.mark.parametrize("case", range(CASES))
def test_a_clean_run_under_writes_raises_no_alarm_and_attributes_what_the_writers_did(settings, clients, seeded, case):
    name = f"clean-{os.getpid()}-{case}"
    entries, m0, restored, m1, report, decided = one_run(settings, clients, name, SEED + case)
    assert report.findings == []
    assert report.verdict is Verdict.VERIFIED
    assert all(index.digest and index.documents > DOCUMENTS // 10 for index in report.indices)
    attributed = Counter()
    for index in report.indices:
        attributed.update(index.attributed)
    assert check_against_log(entries, m0, restored, m1, decided) == sum(attributed.values()) > 20
    undecided, documents = (sum(getattr(i, name) for i in report.indices) for name in ("undecided", "documents"))
    print(f"\nattributed {dict(attributed)}, undecided {undecided} of {documents:,} documents")  # noqa: T201  the figures are what the runs are for


def check_against_log(entries, m0, restored, m1, decided):
    """Every attribution against what the writers know: answers how many were checked."""
    history = defaultdict(list)
    for entry in entries:
        history[entry.index, entry.id].append((entry.seq_no, entry.op))
    commits = {each.key: each.commit for each in restored.shards}
    checked = 0
    for shard, document, said in decided:
        if said.standing is not Standing.PROVED or said.change is None:
            continue
        first, commit, last = m0.by_shard[shard], commits[shard], m1.by_shard[shard]
        own = sorted(history[shard.index, document])
        # What lies between a view's bounds may show in it or not: it may explain a change, and must not deny one.
        perhaps = Sides(own, (first.complete, commit.top), (commit.local, last.ceiling))
        surely = Sides(own, (first.ceiling, commit.local), (commit.top, last.complete))
        assert happened(said, perhaps, surely), (shard, document, said, own, first, commit, last)
        checked += 1
    return checked


class Sides:
    """A document's operations in the window, before and after the commit."""

    def __init__(self, own, before, after) -> None:
        self.before = [op for number, op in own if before[0] < number <= before[1]]
        self.after = [op for number, op in own if after[0] < number <= after[1]]


def happened(said, perhaps, surely):
    """Whether what was said of a document is what its writer did."""
    if "after the commit" in said.reason:
        told = perhaps.after and (said.change is not Change.DELETED or "delete" in perhaps.after)
        return not surely.before and bool(told)
    if said.change is Change.DELETED:
        return "delete" in perhaps.before and not surely.after
    return any(op != "delete" for op in perhaps.before) and not surely.after
