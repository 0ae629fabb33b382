"""A step that is done gives its result to every later attempt; one that may be done is found, done again or left to a person."""

from __future__ import annotations

import pytest

from steward.operations import claims
from steward.operations.claims import Terms, claim
from steward.operations.errors import (
    DeadlinePassed,
    EffectRefused,
    InDoubt,
    NoOperation,
    ResultTooLarge,
    StepChanged,
    StepRepeated,
    TurnedBack,
)
from steward.operations.holding import holding
from steward.operations.steps import Doubt, Kind, Step, run_step
from steward.verdicts import Verdict
from tests.integration.operations.ground import FIRST, NIGHT, SECOND, counted, interrupt, lose, reset, step

pytestmark = pytest.mark.without_search


def test_a_step_that_is_done_gives_its_result_to_the_next_attempt(book):
    calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        assert run_step(step(body)) == 1
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):
        assert run_step(step(body)) == 1
    assert len(calls) == 1


def test_a_step_killed_before_its_record_is_done_again(book):
    _calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(KeyboardInterrupt):
        run_step(step(lambda: (body(), interrupt())))
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):
        assert run_step(step(body)) == 2


def test_a_step_that_finds_its_effect_does_not_make_it_again(book):
    calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(KeyboardInterrupt):
        run_step(step(lambda: (body(), interrupt())))
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):
        assert run_step(step(body, find=lambda: "found")) == "found"
        assert run_step(step(body, find=lambda: pytest.fail("asked though done"))) == "found"
    assert len(calls) == 1


def test_a_step_in_doubt_stops_for_a_person(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        with pytest.raises(ConnectionResetError):
            run_step(step(reset, doubt=Doubt.STOP))
        with pytest.raises(InDoubt, match="nothing tells whether"):
            run_step(step(doubt=Doubt.STOP))


def test_a_step_whose_effect_was_refused_is_not_in_doubt(book):
    def refused():
        raise EffectRefused("550 no such mailbox")

    with holding(book, claim(book, NIGHT, FIRST)):
        with pytest.raises(EffectRefused):
            run_step(step(refused, doubt=Doubt.STOP))
        assert run_step(step(doubt=Doubt.STOP)) == "made"


def test_a_step_that_was_not_done_may_be_told_another_state_to_reach(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        with pytest.raises(ConnectionResetError):
            run_step(step(reset, inputs={"weight": 5}))
        assert run_step(step(inputs={"weight": 25})) == "made"


def test_a_step_whose_effect_may_be_there_is_not_told_other_arguments(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        with pytest.raises(ConnectionResetError):
            run_step(step(reset, inputs={"to": "a"}, find=lambda: None))
        with pytest.raises(StepChanged):
            run_step(step(inputs={"to": "b"}, find=lambda: None))


def test_other_arguments_under_an_old_name_are_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        run_step(step(inputs={"tenant": "a"}, caller="1"))
        with pytest.raises(StepChanged):
            run_step(step(inputs={"tenant": "b"}, caller="1"))


def test_two_calls_that_the_key_does_not_tell_apart_are_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        run_step(step(caller="1"))
        assert run_step(step(caller="1")) == "made"
        with pytest.raises(StepRepeated):
            run_step(step(caller="2"))


def test_an_always_step_is_never_taken_as_done(book):
    calls, body = counted()
    with holding(book, claim(book, NIGHT, FIRST)):
        for number in range(3):
            run_step(step(body, kind=Kind.ALWAYS, inputs=number, caller=str(number)))
    assert len(calls) == 3


def test_turned_back_only_undo_always_and_closing_steps_run_in_every_attempt(book):
    undone, undo = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), claims.turning_back(book, first, "harm seen"):
        run_step(Step("undo", undo, kind=Kind.UNDO))
    lose(book, first)
    second = claim(book, NIGHT, SECOND)
    with holding(book, second):
        with pytest.raises(TurnedBack, match="harm seen"):
            run_step(step())
        run_step(Step("undo", undo, kind=Kind.UNDO))
        run_step(Step("clean", lambda: None, kind=Kind.ALWAYS))
        run_step(Step("close", lambda: None, kind=Kind.CLOSING))
        claims.conclude(book, second, Verdict.REFUTED, None, "harm seen")
    assert len(undone) == 1
    assert book.query("SELECT state FROM steward.operations") == [{"state": "undone"}]


def test_an_undo_step_outside_of_turning_back_is_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)), pytest.raises(TurnedBack, match="outside"):
        run_step(Step("undo", lambda: None, kind=Kind.UNDO))


def test_past_its_deadline_an_operation_cleans_and_closes_and_begins_nothing(book):
    with holding(book, claim(book, NIGHT, FIRST, Terms(deadline_seconds=0))):
        with pytest.raises(DeadlinePassed, match="make is not begun"):
            run_step(step())
        run_step(Step("clean", lambda: None, kind=Kind.ALWAYS))
        run_step(Step("close", lambda: None, kind=Kind.CLOSING))


def test_a_result_that_belongs_in_a_store_is_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)), pytest.raises(ResultTooLarge):
        run_step(step(lambda: "x" * (5 << 20)))


def test_a_step_outside_of_any_operation_says_what_to_do():
    with pytest.raises(NoOperation, match="put @durable under @flow"):
        run_step(step())
