"""Waiting for a restore, as the cluster tells of it from one look to the next."""

import pytest

from steward.snapshots import recovery
from steward.snapshots.errors import SnapshotSlow
from tests.unit.recovery_samples import plan

ACME, BOLT = "tenant-acme-000001", "tenant-bolt-000001"
CORRUPT = "failed recovery, failure org.apache.lucene.index.CorruptIndexException: checksum failed"


class Cluster:
    """Answers one look after the other: what is still awaited, and how each primary stands by then."""

    def __init__(self, *looks) -> None:
        self.looks = list(looks)

    def request(self, _method, path, _body=None, **_asked):
        if path.startswith("/_cluster/state/customs"):
            self.awaited, self.states = self.looks.pop(0)
            shards = [{"index": {"index_name": name}, "shard": 0, "state": "INIT"} for name in self.awaited]
            return {"restore": {"snapshots": [{"shards": shards}]}}
        rows = [{"index": name, "shard": "0", "prirep": "p", **state} for name, state in self.states.items()]
        return [*rows, {"index": ACME, "shard": "0", "prirep": "r", "state": "UNASSIGNED"}]


def started(*names):
    return {name: {"state": "STARTED"} for name in names}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(recovery, "POLL_SECONDS", 0)


def test_it_waits_until_every_primary_has_started_and_replicas_are_awaited_by_nobody():
    seen = []
    cluster = Cluster(
        ([ACME, BOLT], {ACME: {"state": "INITIALIZING"}, BOLT: {"state": "UNASSIGNED"}}),
        ([BOLT], started(ACME) | {BOLT: {"state": "INITIALIZING"}}),
        ([], started(ACME, BOLT)),
    )
    assert recovery.await_restore(cluster, plan().indices, on_poll=lambda *told: seen.append(told)) == []
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_shard_that_starts_between_two_questions_has_not_failed():
    assert recovery.await_restore(Cluster(([ACME], started(ACME, BOLT))), plan().indices) == []


def test_a_shard_that_nobody_awaits_any_more_has_failed_and_says_why():
    states = started(BOLT) | {ACME: {"state": "UNASSIGNED", "ud": CORRUPT}}
    [failed] = recovery.await_restore(Cluster(([], states)), plan().indices)
    assert (failed.index, failed.shard, failed.damaged) == (ACME, 0, True)
    assert failed.reason.endswith("CorruptIndexException: checksum failed")


def test_it_does_not_wait_for_ever():
    looks = [([ACME], started(BOLT) | {ACME: {"state": "INITIALIZING"}})]
    with pytest.raises(SnapshotSlow, match="1 of 2 shards are not restored"):
        recovery.await_restore(Cluster(*looks), plan().indices, timeout_seconds=-1)
