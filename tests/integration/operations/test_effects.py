"""What an attempt made and did not live to clean away is known to whoever comes next."""

from __future__ import annotations

import pytest

from steward.operations import claims
from steward.operations.claims import Identity, claim
from steward.operations.effects import (
    abandoned_effects,
    dead_effects,
    forget_effects,
    note_effects,
    own_effects,
    removed_effects,
)
from steward.operations.holding import holding
from steward.operations.steps import current_step, run_step
from tests.integration.operations.ground import FIRST, NIGHT, SECOND, interrupt, lose, reset, step

pytestmark = pytest.mark.without_search


def test_effects_of_a_dead_attempt_at_a_step_are_known_to_the_next(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(KeyboardInterrupt):
        run_step(step(lambda: (note_effects("index", ["proof-1-a"], {"shards": 2}), interrupt())))
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):

        def clean_and_make():
            dead = dead_effects("index")
            forget_effects(dead)
            note_effects("index", ["proof-2-a"])
            return [(effect.effect_id, effect.detail) for effect in dead]

        assert run_step(step(clean_and_make)) == [("proof-1-a", {"shards": 2})]
        assert [effect.effect_id for effect in own_effects()] == ["proof-2-a"]


def test_what_a_second_try_makes_again_is_there_again(book):
    with holding(book, claim(book, NIGHT, FIRST)):

        def make():
            forget_effects(dead_effects())
            note_effects("copies", ["proof-1-"], {"try": current_step().tries})
            if current_step().tries == 1:
                reset()

        with pytest.raises(ConnectionResetError):
            run_step(step(make))
        run_step(step(make))
        assert [(effect.effect_id, effect.detail) for effect in own_effects()] == [("proof-1-", {"try": 2})]
        assert removed_effects("copies") == []


def test_effects_of_an_operation_that_ended_for_good_are_left_to_the_next_of_its_kind(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        run_step(step(lambda: note_effects("index", ["proof-1-a"])))
        claims.fail(book, first, "gave up")
    with holding(book, claim(book, Identity("night", "production", "2025-08-01"), SECOND)):
        assert [effect.effect_id for effect in abandoned_effects()] == ["proof-1-a"]
        forget_effects(abandoned_effects())
        assert abandoned_effects() == []
