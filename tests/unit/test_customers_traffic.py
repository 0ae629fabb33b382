"""The users' side of live traffic: what is due when, who changes what, what counts as lost, and what was seen to be wrong."""

# The servers here answer as they please, whatever they are asked.
# ruff: noqa: ARG002
from __future__ import annotations

import json
from collections import Counter
from random import Random
from threading import Event
from uuid import UUID, uuid4

import pytest

from demo.customers.checking import expectations
from demo.customers.traffic import measures
from demo.customers.traffic.arrivals import SHARES, Arrivals
from demo.customers.traffic.asking import Failed, Refused
from demo.customers.traffic.driver import Driver
from demo.customers.traffic.known import Known, Rows
from demo.customers.traffic.measures import Measure, Measures
from demo.customers.values import digest, drawn
from demo.customers.writelog import WriteLog, read

ROW = UUID(int=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "writes.jsonl"


def test_requests_are_due_at_the_rate_and_in_the_shares_that_were_asked_for():
    arrivals = Arrivals(rate=1000, seconds=20, seed=3)
    began = arrivals._due
    due = list(iter(arrivals.next, None))
    assert len(due) == pytest.approx(20_000, rel=0.05)
    assert all(began < each.due <= began + 20 for each in due)
    assert [each.due for each in due] == sorted(each.due for each in due)
    for kind, count in Counter(each.kind for each in due).items():
        assert 100 * count / len(due) == pytest.approx(SHARES[kind], abs=1.5)


def test_the_latest_acknowledged_write_of_a_row_is_what_must_be_there(path):
    with WriteLog(path) as log:
        for value in ("one", "two"):
            log.answered(log.sent("update", "acme", ROW, value), "acknowledged")
        log.answered(log.sent("create", "acme", None, "new"), "acknowledged", UUID(int=2))
        log.answered(log.sent("update", "acme", UUID(int=2), "no"), "refused")
        assert log.acknowledged == 3
    count, rows = expectations(path)
    assert count == 3
    assert {row: (each.digest, each.doubtful) for row, each in rows.items()} == {
        ROW: ("two", {}),
        UUID(int=2): ("new", {}),
    }


def test_of_a_write_without_an_answer_either_value_will_do(path):
    with WriteLog(path) as log:
        log.answered(log.sent("update", "acme", ROW, "old"), "acknowledged")
        log.sent("update", "acme", ROW, "maybe")
        log.sent("update", "acme", UUID(int=2), "of a row that nobody vouches for")
    (expected,) = expectations(path)[1].values()
    assert (expected.digest, list(expected.doubtful.values())) == ("old", ["maybe"])


def test_an_acknowledged_write_ends_what_was_in_doubt_before_it(path):
    with WriteLog(path) as log:
        log.sent("update", "acme", ROW, "maybe")
        log.answered(log.sent("update", "acme", ROW, "new"), "acknowledged")
    (expected,) = expectations(path)[1].values()
    assert (expected.digest, expected.doubtful) == ("new", {})


def test_rows_of_an_erased_tenant_are_left_out(path):
    with WriteLog(path) as log:
        log.answered(log.sent("update", "acme", ROW, "one"), "acknowledged")
    assert expectations(path, {"acme"}) == (0, {})


def test_a_line_that_a_kill_cut_short_is_left_out_and_does_not_spoil_what_is_appended(path):
    with WriteLog(path) as log:
        log.sent("update", "acme", ROW, "one")
    path.write_bytes(path.read_bytes() + b'{"event":"ackn')
    assert [write.digest for write in read(path)] == ["one"]
    with WriteLog(path) as log:
        log.sent("update", "acme", ROW, "two")
    assert [write.digest for write in read(path)] == ["one", "two"]


def test_no_log_is_no_writes(path):
    assert list(read(path)) == []


def test_the_log_holds_no_value(path, tmp_path):
    chance = Random(1)
    with WriteLog(path) as log, Measures(tmp_path / "times.jsonl") as times:
        driver = Driver(Rows(["acme"]), log, times, Event(), 0)
        driver._create(Honest(), chance)
        driver._update(Honest(), chance)
    logged = path.read_text()
    assert logged.count('"acknowledged"') == 2
    assert "@" not in logged


class Honest:
    """A server of one tenant, in memory."""

    def __init__(self) -> None:
        self.rows = {}

    def read(self, tenant, row):
        return self.rows[row]

    def search(self, tenant, email):
        return {row for row, values in self.rows.items() if values.email == email}

    def update(self, tenant, row, values):
        self.rows[row] = values
        return values

    def create(self, tenant, values):
        row = uuid4()
        self.rows[row] = values
        return row, values

    def close(self):
        pass


class Forgetful(Honest):
    """Acknowledges a change and keeps what was there."""

    def update(self, tenant, row, values):
        return values


class Blind(Honest):
    """Changes what is there and finds it by what it was."""

    def search(self, tenant, email):
        return set()


class Silent(Honest):
    """Gives no answer to a change."""

    def update(self, tenant, row, values):
        raise Failed("no answer: TimeoutError")


class Strict(Honest):
    """Does no change, and says so."""

    def update(self, tenant, row, values):
        raise Refused("403 Forbidden")


@pytest.fixture
def driver(path, tmp_path):
    with WriteLog(path) as log, Measures(tmp_path / "times.jsonl") as times:
        yield Driver(Rows(["acme"]), log, times, Event(), 0)


def test_an_honest_server_is_never_found_wrong(driver):
    server, chance = Honest(), Random(5)
    for _ in range(200):
        for ask in (driver._create, driver._update, driver._read, driver._search):
            ask(server, chance)


def test_a_read_that_misses_an_acknowledged_change_is_seen(driver):
    server, chance = Forgetful(), Random(5)
    driver._create(server, chance)
    driver._update(server, chance)
    with pytest.raises(Failed, match="other values than those acknowledged last"):
        driver._read(server, chance)


def test_a_search_that_misses_a_row_is_seen(driver):
    server, chance = Blind(), Random(5)
    driver._create(server, chance)
    with pytest.raises(Failed, match="did not find a row"):
        driver._search(server, chance)


def test_a_row_whose_change_was_not_answered_is_not_changed_again_nor_judged(driver, path):
    server, chance = Silent(), Random(5)
    driver._create(server, chance)
    with pytest.raises(Failed, match="no answer"):
        driver._update(server, chance)
    assert driver.rows.take(chance) is None
    (row,) = server.rows
    server.rows[row] = drawn(chance, "acme")
    driver._read(server, chance)
    (expected,) = expectations(path)[1].values()
    assert len(expected.doubtful) == 1


def test_a_refused_change_leaves_the_row_as_it_was_and_free(driver, path):
    server, chance = Strict(), Random(5)
    driver._create(server, chance)
    with pytest.raises(Refused):
        driver._update(server, chance)
    driver._read(server, chance)
    assert driver.rows.take(chance) is not None
    (expected,) = expectations(path)[1].values()
    assert not expected.doubtful


def test_no_two_change_a_row_at_once():
    rows, chance = Rows(["acme"], [Known(UUID(int=n), "acme") for n in range(3)]), Random(5)
    taken = [rows.take(chance) for _ in range(4)]
    assert taken[3] is None
    assert len({each.id for each in taken[:3]}) == 3
    rows.give_back(taken[0], None)
    assert rows.take(chance) is taken[0]


def test_what_is_read_while_the_row_changes_is_not_remembered():
    rows, chance = Rows(["acme"], [Known(ROW, "acme")]), Random(5)
    row, values = rows.any(chance), drawn(chance, "acme")
    before = row.changes
    rows.give_back(rows.take(chance), None)
    rows.learn(row, values, before)
    assert row.told is None
    rows.learn(row, values, row.changes)
    assert row.told == values


def test_percentiles_are_of_nearest_rank():
    assert measures.percentiles(range(1, 101)) == {"count": 100, "p50": 50, "p95": 95, "p99": 99}
    assert measures.percentiles([7.0]) == {"count": 1, "p50": 7.0, "p95": 7.0, "p99": 7.0}
    assert measures.percentiles([]) == {"count": 0}


def test_failed_requests_are_counted_by_reason_and_not_timed():
    every = [Measure("read", 10.0, 2.0), Measure("read", 11.5, 9000.0, "503 Service Unavailable")]
    told = measures.summary(every)
    assert (told["requests"], told["failed"], told["failures"]) == (2, 1, {"503 Service Unavailable": 1})
    assert told["milliseconds"]["read"]["p99"] == 2.0
    assert [each["requests"] for each in measures.by_interval(every, 1).values()] == [1, 1]
    assert measures.between(every, 10.0, 11.5) == every[:1]
    json.dumps(told)


def test_what_is_sent_and_what_is_answered_have_one_digest():
    values = drawn(Random(3), "acme")
    assert values.digest() == digest({"id": "x", "plan": "free", **values.body()})
    assert values.digest() != drawn(Random(4), "acme").digest()
