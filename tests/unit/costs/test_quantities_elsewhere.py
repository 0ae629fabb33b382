"""Attempts that are billed at another tier or as another model: taken from one cell and found in the other."""

from __future__ import annotations

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, dollars, explained, micro


def test_an_attempt_at_another_tier_than_was_answered_is_taken_from_one_and_found_in_the_other():
    ground = Ground()
    ground.entered(tier="priority", input=900, cached=50, output=90)
    ground.billed(tier="default", input=900, cached=50, output=90)
    was, now = 900 * micro(4) + 50 * micro("0.4") + 90 * micro(20), 900 * micro(2) + 50 * micro("0.2") + 90 * micro(10)
    assert explained(ground) == {Cause.SERVED_TIER: now - was}


def test_an_attempt_billed_as_another_model_is_taken_from_one_and_found_in_the_other():
    ground = Ground()
    ground.entered(model="sol-2", input=900, output=90)
    ground.billed(model="sol", input=900, output=90)
    assert explained(ground) == {Cause.BILLED_MODEL: -(900 * micro(1) + 90 * micro(2))}


def test_what_one_cell_lacks_and_another_has_to_the_last_token_is_not_put_where_it_is_a_part():
    """The minute beside it has more than that, of an attempt without an end."""
    ground = Ground(bucket=60)
    ground.both(minute=49, model="sol-2", input=77_000, output=7)
    ground.entered(minute=48.2, model="sol-2", input=391, output=35)
    ground.billed(minute=48, model="sol", input=391, output=35)
    ground.unknown((500, 4096), minute=49, model="sol-2")
    ground.billed(minute=49, model="sol-2", input=402, output=86)
    assert explained(ground) == {
        Cause.BILLED_MODEL: -(391 * micro(1) + 35 * micro(2)),
        Cause.UNKNOWN_ATTEMPTS: 402 * micro(3) + 86 * micro(12),
    }


@pytest.mark.parametrize("hides", ["swap", "guess"])
def test_an_attempt_billed_as_another_model_is_found_where_a_swap_or_a_guess_of_that_model_hides_it(hides):
    ground = Ground(bucket=60)
    ground.both(model="sol-2", input=9000, cached=10, output=4)
    ground.entered(model="sol-2", input=831, output=176)
    ground.billed(model="sol", input=831, output=176)
    if hides == "swap":
        ground.entered(model="sol", input=3000, output=15)
        ground.billed(model="sol", input=440, cached=2560, output=15)
        beside = {Cause.CACHE_SPLIT: 2560 * (micro("0.2") - micro(2))}
    else:
        ground.entered(model="sol", input=4400, output=15, estimate=(4400, 0, 0, 4096))
        ground.billed(model="sol", input=2565, output=30)
        beside = {Cause.ESTIMATED_STREAMS: 15 * micro(10) - 1835 * micro(2)}
    assert explained(ground) == {Cause.BILLED_MODEL: -(831 * micro(1) + 176 * micro(2))} | beside


def test_without_a_request_too_many_a_guess_hides_no_attempt_of_another_model():
    """It is missing, and the provider may still state it."""
    ground = Ground(bucket=60, final=False)
    ground.entered(model="sol-2", input=831, output=176)
    ground.entered(model="sol", input=4400, output=15, estimate=(4400, 0, 0, 4096))
    ground.billed(model="sol", input=3565, output=30)
    found = explained(ground)
    assert set(found) == {Cause.NOT_YET_STATED, Cause.ESTIMATED_STREAMS}
    assert found[Cause.NOT_YET_STATED] == -(831 * micro(3) + 176 * micro(12))


@pytest.mark.parametrize("minute", [30, 59.9])
def test_an_attempt_that_one_without_an_end_hides_is_found_where_it_was_billed(minute):
    """As many requests as were entered, and more tokens: one went to another model, or another hour, and one came."""
    ground = Ground(bucket=60)
    ground.both(model="sol-2", minute=minute, input=77, output=7)
    ground.entered(model="sol-2", minute=minute, input=1712, output=745)
    elsewhere = {"model": "sol"} if minute == 30 else {"model": "sol-2", "hour": 11}
    ground.billed(**elsewhere, minute=minute if minute == 30 else 0, input=1712, output=745)
    ground.unknown((3321, 5139), model="sol-2", minute=minute)
    ground.billed(model="sol-2", minute=minute, input=2726, output=1043)
    moved = {Cause.BILLED_MODEL: -(1712 * micro(1) + 745 * micro(2))} if minute == 30 else {Cause.BOUNDARY_SHIFT: 0}
    assert explained(ground) == moved | {Cause.UNKNOWN_ATTEMPTS: 2726 * micro(3) + 1043 * micro(12)}


def test_an_attempt_that_one_of_the_minute_beside_hides_is_found_where_it_was_billed():
    ground = Ground(bucket=60)
    ground.both(hour=11, minute=0.5, model="sol-2", input=77, output=7)
    ground.entered(hour=11, minute=0.5, model="sol-2", input=218, output=141)
    ground.billed(hour=11, minute=0.5, model="sol", input=218, output=141)
    ground.entered(hour=10, minute=59.8, model="sol-2", input=297, output=186)
    ground.billed(hour=11, minute=0, model="sol-2", input=297, output=186)
    assert explained(ground) == {
        Cause.BILLED_MODEL: -(218 * micro(1) + 141 * micro(2)),
        Cause.BOUNDARY_SHIFT: 0,
    }


def test_of_two_attempts_that_would_both_be_it_none_is():
    ground = Ground(bucket=60)
    for model in ("sol-2", "luna"):
        ground.entered(model=model, input=1712, output=745)
        ground.unknown((3321, 5139), model=model)
        ground.billed(model=model, input=2726, output=1043)
    ground.billed(model="sol", input=1712, output=745)
    assert Cause.BILLED_MODEL not in dollars(ground.day())


def test_an_attempt_that_is_not_missed_stays_where_nothing_accounts_for_what_its_cell_would_have_over():
    ground = Ground(bucket=60)
    ground.both(model="sol-2", input=1712, output=745)
    ground.billed(model="sol", input=1712, output=745)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == 1712 * micro(2) + 745 * micro(10)


def test_a_guess_that_was_too_high_is_no_attempt_of_another_model():
    """What one model's guess has too much of, another's attempt without an end has over: two things, of which neither moved."""
    ground = Ground()
    ground.billed(input=162, model="luna")
    ground.entered(input=244, estimate=(244, 0, 0, 4096), model="luna")
    ground.both(input=41, model="luna")
    ground.billed(input=1787, output=60)
    ground.unknown((2194, 4156))
    assert set(explained(ground)) == {Cause.ESTIMATED_STREAMS, Cause.UNKNOWN_ATTEMPTS}
