"""What the drill of keys draws: every place at which rotation and erasure can be met, and the same again for a seed."""

import inspect

from prefect import Task

from flows import monthly_key_rotation, shred_tenant
from tests.drills.keys import points
from tests.drills.keys.cases import EFFECTS, STEPS, draw, places


def test_a_case_is_the_same_however_many_are_drawn():
    assert draw(7, 300)[:20] == draw(7, 20)


def test_no_place_is_met_twice_before_all_have_been():
    deck = places()
    assert sorted(case.stop.point for case in draw(3, len(deck))) == sorted(point for point, *_ in deck)


def test_every_step_of_both_flows_is_a_place():
    steps = {
        inspect.unwrap(each.fn).__name__
        for flow in (monthly_key_rotation, shred_tenant)
        for each in vars(flow).values()
        if isinstance(each, Task)
    }
    assert steps == {step.partition(" ")[0] for step in STEPS}


def test_every_effect_that_is_met_is_drawn_and_is_there():
    assert set(EFFECTS) == {*points.EFFECTS, points.VERSION}
    for owner, attribute in points.EFFECTS.values():
        assert callable(getattr(owner, attribute))


def test_a_process_is_stopped_at_the_nth_time_that_it_comes_by_and_never_again(monkeypatch):
    struck = []
    monkeypatch.setattr(points.os, "kill", lambda _, signal: struck.append(signal))
    meeting = points.Meeting(points.Stop("before switch", 9, nth=2))
    for at in ("before switch", "after switch", "before switch", "before switch"):
        meeting.come_by(at)
    assert struck == [9]
