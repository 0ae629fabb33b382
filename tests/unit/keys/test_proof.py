"""The proof over rows in this process: nothing that is wrong with any row is missed, and what is right is counted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from steward.keys.proof import LOOKED_UP, NAMED, prove_table
from tests.unit.keys.samples import TABLE, after, before, damaged, mover, row


class Snapshot:
    """Rows as they are, and an index of the database's that may be wrong."""

    def __init__(self, rows, hidden=(), invented=()) -> None:
        self._rows, self._hidden, self._invented = rows, set(hidden), set(invented)
        self.looked_up = []

    def all(self, _table):
        return iter(self._rows)

    def having(self, _table, _field, tenant, indexes):
        self.looked_up += [(tenant, index) for index in indexes]
        found = {each.row_id for each in self._rows if each.tenant == tenant and each.sealed[1] in indexes}
        return found - self._hidden | self._invented

    def scanned(self, _table, _field, indexes):
        found = {}
        for each in self._rows:
            if each.sealed[1] in indexes:
                found.setdefault((each.tenant, each.sealed[1]), set()).add(each.row_id)
        return found


def prove(rows, *, erased=(), **snapshot):
    moving = mover(after(), after("globex", 70))
    return prove_table(TABLE, moving, erased, Snapshot(rows, **snapshot), random.Random(1))


def rows(count=10):
    return [
        row(after() if number % 2 else after("globex", 70), number, email=f"{number}@example.net")
        for number in range(count)
    ]


def test_rows_under_current_keys_are_proved_and_counted():
    proof = prove([*rows(), row(after(), 11, email=None, notes=None)])
    assert proof.refuted == set()
    assert (proof.table, proof.rows, proof.values, proof.erased) == ("crm.people", 11, 20, 0)
    assert proof.by_tenant == {"acme": 6, "globex": 5}
    assert proof.lookups == 2 * LOOKED_UP


def test_one_row_under_the_old_key_refutes_its_tenant_alone():
    proof = prove([*rows(), row(before(), 99)])
    assert (proof.below, proof.refuted) == ({"acme": 1}, {"acme"})


def test_a_damaged_value_refutes_its_tenant_and_is_named():
    found = rows()
    found[3] = found[3].holding(2, damaged(found[3].sealed[2]))
    proof = prove(found)
    assert (proof.damaged, proof.refuted, proof.values) == ({"acme": 1}, {"acme"}, 19)
    assert [str(each) for each in proof.named] == [
        "crm.people row 3 of tenant acme: notes is damaged (CiphertextTampered)"
    ]


def test_a_row_of_a_tenant_without_keys_refutes_that_tenant():
    proof = prove([*rows(), replace(row(after(), 99), tenant="nobody")])
    assert (proof.refuted, proof.rows) == ({"nobody"}, 11)


def test_rows_of_erased_tenants_are_counted_apart_and_refute_nobody():
    proof = prove([*rows(), replace(row(after(), 99), tenant="gone")], erased={"gone"})
    assert (proof.refuted, proof.rows, proof.erased) == (set(), 10, 1)


def test_damage_beyond_what_is_named_is_counted():
    broken = [each.holding(2, b"x" * 80) for each in rows(NAMED + 10)]
    proof = prove(broken)
    assert sum(proof.damaged.values()) == NAMED + 10
    assert len(proof.named) == NAMED


@pytest.mark.parametrize("wrong", ["hidden", "invented"])
def test_an_index_of_the_database_that_lies_refutes_the_tenant(wrong):
    proof = prove([row(after(), number) for number in range(3)], **{wrong: [1 if wrong == "hidden" else 9]})
    assert proof.refuted == {"acme"}
    assert proof.wrong_lookups == {"acme": 1}


def test_only_rows_that_are_whole_are_looked_up():
    found = [row(before(), 1), row(after(), 2).holding(2, b"x" * 80), row(after(), 3, email="whole@example.net")]
    proof = prove(found)
    assert proof.lookups == 1


def test_each_tenant_has_a_sample_of_its_own_and_it_is_drawn_from_all_its_rows():
    many = [row(after(), number, email=f"{number}@example.net") for number in range(200)]
    drawn = set()
    for seed in range(40):
        snapshot = Snapshot(many)
        prove_table(TABLE, mover(after()), (), snapshot, random.Random(seed))
        assert len(snapshot.looked_up) == LOOKED_UP
        drawn |= {index for _, index in snapshot.looked_up}
    places = [at for at, each in enumerate(many) if each.sealed[1] in drawn]
    assert places[0] < 50
    assert places[-1] >= 150
    assert len(places) > 60


def test_the_caller_hears_of_every_row():
    heard = []
    prove_table(TABLE, mover(after()), (), Snapshot(rows()), random.Random(1), on_row=lambda: heard.append(1))
    assert len(heard) == 10
