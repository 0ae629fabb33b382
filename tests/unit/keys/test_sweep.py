"""A table gone through: what is replaced, what is overtaken, in which order, and who ends it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace

import pytest

from steward.keys import sweep as sweep_module
from steward.keys.pace import Budget, Pace
from steward.keys.sweep import PART_PAGES, Part, Sweep, Tally, parts_of, side_by_side
from tests.unit.keys.samples import OLD, TABLE, after, before, damaged, mover, opened, row

OLD_IDS = frozenset({OLD.to_bytes(4, "big")})
WHOLE = Part("people", 0, 1)


@dataclass
class Table:
    """Rows in this process, replaced as the database would: where the row is still what was read, all or none locked."""

    rows: dict[str, object]
    held: set[str] = field(default_factory=set)
    asked: list[range] = field(default_factory=list)
    puts: list[list[str]] = field(default_factory=list)

    def batch(self, _table, _leaf, pages, ids):
        self.asked.append(pages)
        return [each for each in self.rows.values() if any(_names(value, *ids) for value in each.sealed)]

    def replace(self, _table, _leaf, replacements):
        places = [each.at for each, _ in replacements]
        self.puts.append(places)
        if self.held.intersection(places):
            return None
        same = [(each, sealed) for each, sealed in replacements if self.rows[each.at].sealed == each.sealed]
        for each, sealed in same:
            self.rows[each.at] = replace(each, sealed=sealed)
        return len(same)


def _names(value, lowest, highest):
    return value is not None and (lowest <= value[2:6] <= highest or lowest <= value[:4] <= highest)


def table(count, **changes):
    return Table({f"(0,{number})": replace(row(before(), number), at=f"(0,{number})") for number in range(count)})


def sweep(pace=None, guard=lambda: None):
    return Sweep(TABLE, OLD_IDS, mover(after()), pace or Pace(Budget(0, 1e9)), guard)


def test_every_row_is_replaced_once_and_says_what_it_said():
    rows = table(250)
    assert sweep().part(rows, WHOLE) == Tally(read=250, replaced=250)
    assert {opened(after(), each) for each in rows.rows.values()} == {("ada@example.net", "likes tea")}
    assert sweep().part(rows, WHOLE) == Tally()


def test_a_part_is_read_in_batches_that_follow_each_other_to_its_end():
    rows = Table({})
    sweep().part(rows, Part("people", 10, 75))
    assert rows.asked == [range(10, 42), range(42, 74), range(74, 75)]


def test_a_hundred_rows_are_locked_at_a_time():
    rows = table(250)
    sweep().part(rows, WHOLE)
    assert [len(put) for put in rows.puts] == [100, 100, 50]


def test_a_row_that_somebody_changes_meanwhile_stays_as_they_left_it():
    rows = table(3)
    written = replace(row(after(), 1, email="new@example.net"), at="(0,1)")
    read = rows.batch

    def overtaken(*asked):
        found = read(*asked)
        rows.rows["(0,1)"] = written
        return found

    rows.batch = overtaken
    assert sweep().part(rows, WHOLE) == Tally(read=3, replaced=2, overtaken=1)
    assert rows.rows["(0,1)"] == written


@pytest.mark.parametrize("place", [0, 37, 99])
def test_one_row_that_is_held_keeps_no_other_from_being_replaced(place):
    rows = table(100)
    rows.held = {f"(0,{place})"}
    assert sweep().part(rows, WHOLE) == Tally(read=100, replaced=99, overtaken=1)
    # In halves: not each row by itself.
    assert len(rows.puts) < 20


def test_a_held_row_is_found_by_the_next_pass():
    rows = table(5)
    rows.held = {"(0,3)"}
    assert sweep().part(rows, WHOLE) == Tally(read=5, replaced=4, overtaken=1)
    rows.held = set()
    assert sweep().part(rows, WHOLE) == Tally(read=1, replaced=1)


def test_a_row_that_is_wholly_damaged_is_counted_and_not_written():
    rows = table(2)
    broken = rows.rows["(0,0)"]
    for at in (0, 2):
        broken = broken.holding(at, damaged(broken.sealed[at]))
    rows.rows["(0,0)"] = broken
    assert sweep().part(rows, WHOLE) == Tally(read=2, replaced=1, damaged=2)
    assert rows.puts == [["(0,1)"]]
    assert rows.rows["(0,0)"] == broken


def test_what_is_whole_beside_a_damaged_value_is_moved():
    rows = table(1)
    rows.rows["(0,0)"] = rows.rows["(0,0)"].holding(2, damaged(rows.rows["(0,0)"].sealed[2]))
    assert sweep().part(rows, WHOLE) == Tally(read=1, replaced=1, damaged=1)


def test_whoever_lost_the_operation_replaces_nothing():
    class Superseded(Exception):
        pass

    def guard():
        raise Superseded

    rows = table(3)
    with pytest.raises(Superseded):
        sweep(guard=guard).part(rows, WHOLE)
    assert rows.puts == []


def test_the_operation_is_asked_for_before_every_replacement():
    asked = []
    rows = table(250)
    sweep(guard=lambda: asked.append(len(rows.puts))).part(rows, WHOLE)
    assert asked == [0, 1, 2]


def test_it_rests_after_batches_that_had_rows_and_tells_for_how_long(monkeypatch):
    rested = []
    monkeypatch.setattr(sweep_module.time, "sleep", rested.append)

    class Slow(Pace):
        def rest_seconds(self, batch_seconds):
            assert batch_seconds >= 0
            return 0.25

    slow = Slow(Budget(0, 0))
    tally = sweep(pace=slow).part(table(3), Part("people", 0, 40))
    assert tally.resting_seconds == 0.25
    assert rested == [0.25]


def test_another_tenants_current_rows_between_two_old_key_ids_are_not_touched():
    others = {f"(1,{number})": replace(row(after("globex", 70), number), at=f"(1,{number})") for number in range(3)}
    # Nor is what is wrong with them this sweep's affair.
    others["(1,0)"] = others["(1,0)"].holding(2, damaged(others["(1,0)"].sealed[2]))
    rows = table(3)
    rows.rows |= others
    ids = frozenset({OLD.to_bytes(4, "big"), (99).to_bytes(4, "big")})
    swept = Sweep(TABLE, ids, mover(after(), after("globex", 70)), Pace(Budget(0, 1e9)), lambda: None)
    assert swept.part(rows, WHOLE) == Tally(read=6, replaced=3)
    assert {place: rows.rows[place] for place in others} == others


# Parts.


@pytest.mark.parametrize("pages", [0, 1, PART_PAGES - 1, PART_PAGES, PART_PAGES + 1, 3 * PART_PAGES])
def test_parts_cover_every_page_once(pages):
    parts = list(parts_of("people", pages))
    assert [page for part in parts for page in range(part.first, part.beyond)] == list(range(pages))
    assert all(part.beyond - part.first <= PART_PAGES for part in parts)


def test_parts_are_done_once_each_by_threads_with_rows_of_their_own():
    parts = list(parts_of("people", 5 * PART_PAGES))
    done, opened_rows, lock = [], [], threading.Lock()
    # Both threads are at work before either goes on.
    both = threading.Barrier(2, timeout=10)

    @contextlib.contextmanager
    def opening():
        rows = object()
        with lock:
            opened_rows.append(rows)
        both.wait()
        yield rows

    def work(rows, part):
        with lock:
            done.append((rows, part))
        return Tally(read=1)

    assert side_by_side(parts, 2, opening, work) == Tally(read=5)
    assert sorted((part for _, part in done), key=lambda part: part.first) == parts
    assert {rows for rows, _ in done} <= set(opened_rows)
    assert len(opened_rows) == 2


def test_no_more_threads_are_started_than_there_are_parts():
    opened_rows = []

    @contextlib.contextmanager
    def opening():
        opened_rows.append(1)
        yield None

    assert side_by_side([WHOLE], 8, opening, lambda *_: Tally(read=1)) == Tally(read=1)
    assert opened_rows == [1]
    assert side_by_side([], 8, opening, lambda *_: Tally(read=1)) == Tally()


def test_the_first_error_ends_all_threads_and_comes_out():
    parts = list(parts_of("people", 50 * PART_PAGES))
    begun = []

    def work(_, part):
        begun.append(part)
        raise ValueError(part.first)

    with pytest.raises(ValueError, match=r"^0$"):
        side_by_side(parts, 1, contextlib.nullcontext, work)
    assert begun == parts[:1]


def test_tallies_add_up_by_their_parts():
    assert Tally(1, 2, 3, 4, 5.0) + Tally(10, 20, 30, 40, 50.0) == Tally(11, 22, 33, 44, 55.0)
