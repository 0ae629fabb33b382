import time
from collections import Counter
from itertools import pairwise
from threading import Event

import pytest

from demo.oplog import Entry, OperationLog, read
from demo.traffic import Traffic
from demo.writers import BURST, pace

WORDS = [{"kind": "shape", "name": "Tag", "documentation": "a tag"}, {"kind": "shape", "name": "Untold"}]


def stream(seed=1, known=()):
    return Traffic("tenant-acme", seed, WORDS, dict(known))


def entry(**changes):
    return Entry(
        **{
            "tenant": "tenant-acme",
            "op": "create",
            "id": "a",
            "outcome": "acknowledged",
            "sent": 1.0,
            "answered": 2.0,
            **changes,
        }
    )


def test_the_same_seed_gives_the_same_traffic():
    assert stream(7).batch(200) == stream(7).batch(200)
    assert stream(7).batch(200) != stream(8).batch(200)


def test_every_kind_of_write_occurs():
    writes = stream().batch(2000)
    assert Counter(write.action for write in writes).keys() == {"create", "index", "update", "delete"}
    assert any(write.routing for write in writes)
    assert any(write.id is None for write in writes)
    recreated = [a for a, b in pairwise(writes) if (a.action, b.action, a.id) == ("delete", "create", b.id)]
    assert recreated


def test_a_document_is_always_addressed_with_its_own_routing():
    routing = {}
    for write in stream().batch(3000):
        if write.id is not None:
            assert routing.setdefault(write.id, write.routing) == write.routing


def test_nothing_is_changed_or_deleted_that_the_tenant_does_not_have():
    there = set()
    for write in stream().batch(3000):
        if write.action == "create":
            assert write.id not in there
            there.add(write.id)
        elif write.id is not None:
            assert write.id in there
        if write.action == "delete":
            there.discard(write.id)


def test_documents_neither_run_out_nor_pile_up():
    traffic = stream(known={f"d{n}": None for n in range(500)})
    for number in range(1_000):
        for write in traffic.batch(10):
            if write.id is None:
                traffic.learn(f"given-{number}", None)
    assert 200 < len(traffic.known) < 1_000


def test_no_two_updates_carry_the_same_words():
    updates = [write.body["documentation"] for write in stream().batch(1000) if write.action == "update"]
    assert len(set(updates)) == len(updates) > 100


def test_what_is_forgotten_is_not_written_to():
    traffic = stream(known={"gone": "r", "kept": None})
    traffic.forget(["gone", "never known"])
    assert "gone" not in {write.id for write in traffic.batch(500)}


class Clock:
    """It stands until somebody waits, and is never told to stop."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds

    def is_set(self):
        return False


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("demo.writers.time", clock)
    return clock


def test_the_pace_holds_over_the_whole_time(clock):
    assert sum(pace(1000, 5, clock)) in range(4950, 5001)


def test_what_a_stall_kept_back_is_caught_up_in_bursts(clock):
    given = []
    for size in pace(240, 10, clock):
        given.append(size)
        if sum(given) >= 480 and clock.now < 5:
            clock.wait(3)
    assert sum(given) in range(2376, 2401)
    assert max(given) == BURST


def test_the_pace_ends_at_once_when_told():
    stop = Event()
    started = time.monotonic()
    for _ in pace(100, 60, stop):
        stop.set()
    assert time.monotonic() - started < 30


def test_the_log_in_the_file_equals_the_one_in_memory(tmp_path):
    with OperationLog(tmp_path / "log") as log:
        log.append(
            [entry(seq_no=3, primary_term=1, version=2), entry(id="b", outcome="unknown", error="ConnectionTimeout")]
        )
        log.append([entry(id="c", routing="r", outcome="refused", error="version_conflict_engine_exception")])
    assert list(read(tmp_path / "log")) == log.entries()
    assert [found.id for found in log.acknowledged()] == ["a"]


def test_the_log_is_appended_to_and_never_begun_anew(tmp_path):
    for name in ("a", "b"):
        with OperationLog(tmp_path / "log") as log:
            log.append([entry(id=name)])
    assert [found.id for found in read(tmp_path / "log")] == ["a", "b"]


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
    with OperationLog(tmp_path / "log") as log:
        log.append([entry(), entry(id="b")])
    whole = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole[:-5])
    assert [found.id for found in read(tmp_path / "log")] == ["a"]
