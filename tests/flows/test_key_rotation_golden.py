"""Rows of Steward's own during a rotation: what they prove, and that nothing is proved where they were not written."""

from __future__ import annotations

from collections import Counter

import pytest

import flows.monthly_key_rotation as flow_module
from steward.clients.key_sweeps import KeySweeps
from steward.errors import Unavailable
from steward.keys.golden import GOLDEN_TENANT, STILL, writing_of
from steward.verdicts import Verdict
from tasks import golden_rows
from tests.rotation_ground import opened, sealed
from tests.rotation_runs import rotate

pytestmark = pytest.mark.without_search

ONE = "customer-0001"
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'read-only until noon'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def between_sweep_and_proof(monkeypatch, act):
    prove = flow_module.prove_rotation

    def act_and_prove(plan):
        act()
        return prove(plan)

    monkeypatch.setattr(flow_module, "prove_rotation", act_and_prove)


def golden(customers, keys, kind):
    """The golden rows that say something of *kind*, each with its first field's text."""
    said = [(row, opened(keys, row)[0]) for row in customers.rows(GOLDEN_TENANT)]
    return [(row, text) for row, text in said if text.startswith(f"{kind} ")]


def test_a_golden_row_that_is_not_what_it_was_keeps_everybodys_old_keys(customers, monkeypatch):
    def change():
        with customers.keys() as keys:
            row, _ = golden(customers, keys, "golden")[0]
            customers.put(sealed(keys, GOLDEN_TENANT, "another@example.net", row.id))

    between_sweep_and_proof(monkeypatch, change)
    report = rotate(tenants=[ONE])
    assert report.verdict is Verdict.REFUTED
    (fault,) = report.proof.golden.faults
    assert "of customers's customers is not what it was" in fault
    assert report.retirement.retired == []
    assert customers.states(ONE) == customers.states(GOLDEN_TENANT) == ["previous", "current"]


def test_an_acknowledged_write_that_is_lost_refutes_and_keeps_everybodys_old_keys(customers, monkeypatch):
    rows = []

    def put_back():
        with customers.keys() as keys:
            (row, text), *_ = golden(customers, keys, "written")
            older = text.removesuffix(str(writing_of(text))) + "0"
            customers.put(sealed(keys, GOLDEN_TENANT, older, row.id))
            rows.append(row)

    between_sweep_and_proof(monkeypatch, put_back)
    report = rotate(tenants=[ONE])
    assert report.verdict is Verdict.REFUTED
    (fault,) = report.proof.golden.faults
    assert "lost writes: acknowledged up to" in fault
    assert "there is writes [0, 0, 0]" in fault
    assert report.retirement.retired == []
    assert customers.states(ONE) == ["previous", "current"]


def test_no_key_is_switched_where_golden_rows_cannot_be_written(customers):
    with customers.application() as connection:
        connection.execute(REFUSE)
    report = rotate(tenants=[ONE])
    assert report.verdict is Verdict.UNKNOWN
    assert "golden rows could not be written before any key was switched" in report.error
    assert "read-only until noon" in report.error
    assert customers.states(ONE) == ["current", "incoming"]


def test_nothing_is_proved_where_golden_rows_could_not_be_written_to_the_end(customers, monkeypatch):
    sweep = flow_module.reencrypt

    def sweep_and_refuse(*asked):
        report = sweep(*asked)
        with customers.application() as connection:
            connection.execute(REFUSE)
        return report

    monkeypatch.setattr(flow_module, "reencrypt", sweep_and_refuse)
    report = rotate(tenants=[ONE])
    assert (report.verdict, report.proof) == (Verdict.UNKNOWN, None)
    assert "golden rows could not be written to the rotation's end" in report.error
    assert customers.states(ONE) == ["previous", "current"]


def test_golden_rows_that_take_too_long_are_not_waited_for_for_ever(customers, monkeypatch):
    monkeypatch.setattr(golden_rows, "ROUND_SECONDS", 1.0)

    def is_away(*_):
        raise Unavailable("the database is restarting")

    monkeypatch.setattr(golden_rows, "open_rows", is_away)
    monkeypatch.setattr(flow_module, "plant_golden_rows", lambda _: 0)
    report = rotate(tenants=[ONE])
    assert report.verdict is Verdict.UNKNOWN
    assert "before any key was switched: the database is restarting" in report.error


def acknowledging(monkeypatch, wanted):
    """Let acknowledgements be recorded for which *wanted*(row's number, how many so far); those that were."""
    acknowledge, recorded, met = KeySweeps.write_is_acknowledged, [], Counter()

    def sometimes(self, relation, number, write):
        met[number] += 1
        if wanted(number, met[number]):
            acknowledge(self, relation, number, write)
            recorded.append((number, write))

    monkeypatch.setattr(KeySweeps, "write_is_acknowledged", sometimes)
    return recorded


def test_a_row_of_which_no_write_was_acknowledged_proves_nothing(customers, monkeypatch):
    acknowledging(monkeypatch, lambda number, _: number != STILL)
    report = rotate(tenants=[ONE])
    assert report.verdict is Verdict.UNKNOWN
    assert f"no write of golden row {STILL} of customers's customers was acknowledged" in report.error
    assert customers.states(ONE) == ["previous", "current"]


def test_writes_are_counted_that_were_acknowledged_and_no_other(customers, monkeypatch):
    """The answer to the first of each row is lost: it was written, and the next is above it."""
    recorded = acknowledging(monkeypatch, lambda _, times: times > 1)
    report = rotate(tenants=[ONE])
    assert report.verdict is Verdict.VERIFIED
    assert report.proof.golden.writes == len(recorded) > 0
