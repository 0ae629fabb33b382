"""The drill's own control: a log with a fault in it is not called clean, and cases are drawn as promised."""

import pytest

from tests.drills.operations.cases import ALONE, FAULTS, draw, points, waves
from tests.drills.operations.judgement import FULFILLED, UNDONE, Tally, judge


def log(*entries):
    """Effects as "effect token" or "effect token name"."""
    words = [(*entry.rsplit(" ", 1), entry) for entry in entries]
    return [{"effect": effect, "token": int(token), "name": effect.split()[0]} for effect, token, _ in words]


CLEAN = log("workspace 1", "file 1", "posted 1", "resource 2", "mail 2", "workspace removed 2")


def test_a_clean_log_has_no_faults():
    assert judge(CLEAN, FULFILLED).faults == {}


def test_an_undone_order_has_its_undoing_and_no_mail():
    undone = log("file 1", "posted 1", "resource 1", "resource removed 2", "refunded 2")
    assert judge(undone, UNDONE).faults == {}
    assert judge([*undone, *log("mail 2")], UNDONE).faults == {"doubled": 1}


@pytest.mark.parametrize("effect", sorted(FULFILLED))
def test_each_effect_that_is_missing_is_lost(effect):
    assert judge([each for each in CLEAN if each["effect"] != effect], FULFILLED).faults == {"lost": 1}


@pytest.mark.parametrize("effect", sorted(FULFILLED))
def test_each_effect_that_comes_twice_is_doubled(effect):
    assert judge([*CLEAN, *log(f"{effect} 2")], FULFILLED).faults == {"doubled": 1}


def test_an_effect_of_a_replaced_holder_after_its_successors_first_is_an_overlap():
    late = log("workspace 1", "file 1", "posted 2", "resource 1", "mail 2", "workspace removed 2")
    assert judge(late, FULFILLED).faults == {"overlaps": 1}


def test_a_workspace_that_nobody_removed_is_left_over():
    assert judge(CLEAN[:-1], FULFILLED).faults == {"leftovers": 1}


def test_tallies_add_up_and_a_stop_for_a_person_is_no_fault():
    total = Tally(cases=1, lost=1) + Tally(cases=2, stopped_for_a_person=1)
    assert (total.cases, total.faults) == (3, {"lost": 1})


def test_the_same_seed_draws_the_same_cases_and_each_fault_meets_every_point():
    sides = [(back, point) for back in (False, True) for point in points(back)]
    cases = draw(7, len(sides) * len(FAULTS))
    assert cases == draw(7, len(sides) * len(FAULTS))
    assert {(case.fault, case.out_of_stock, case.point) for case in cases if case.fault != "twice"} == {
        (fault, *side) for fault in FAULTS if fault != "twice" for side in sides
    }


def test_a_wave_holds_one_servers_fault_or_single_runs():
    found = waves(7, 40)
    assert sorted(case.name for wave in found for case in wave) == sorted(case.name for case in draw(7, 40))
    assert all(len({case.fault if case.fault not in ALONE else "run" for case in wave}) == 1 for wave in found)
