"""Why other quantities are billed than the ledger has: each cause alone, and where several meet in one cell."""

from __future__ import annotations

import pytest

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, Ledger, adds_up, dollars, micro, tokens


def explained(ground):
    """Its causes; nothing is left, and everything adds up."""
    day = ground.day()
    assert day.unexplained == 0
    assert day.left == ()
    assert adds_up(day)
    return dollars(day)


def test_all_of_a_key_that_is_not_the_gateways_went_past_it():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.billed(key="key_9", input=2000, cached=500, output=300)
    assert explained(ground) == {Cause.PAST_GATEWAY: micro(2000 * 2 + 500 * 0.2 + 300 * 10)}


def test_a_key_past_the_gateway_takes_nothing_from_the_gateways_own():
    ground = Ground(final=False)
    ground.billed(key="key_9", input=1000, output=100)
    ground.entered(key="key_1", input=1000, output=100)
    worth = micro(1000 * 2 + 100 * 10)
    assert explained(ground) == {Cause.PAST_GATEWAY: worth, Cause.NOT_YET_STATED: -worth}


def test_what_the_ledger_has_itself_did_not_go_past_the_gateway():
    """A credential that the register of keys does not know is the ledger's own for all that."""
    ground = Ground()
    ground.entered(key="?openai-7", input=1000, output=100)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == -day.ledger


def test_writes_billed_at_another_life_are_told_by_the_two_kinds_that_cancel():
    ground = Ground("anthropic")
    ground.billed(input=100, write_1h=4000, output=50)
    ground.entered(input=100, write_5m=4000, output=50)
    assert explained(ground) == {Cause.CACHE_WRITE_LIFE: 4000 * (micro(6) - micro("3.75"))}


def test_input_billed_as_cached_is_told_by_the_two_classes_that_cancel():
    ground = Ground()
    ground.billed(input=1000, cached=3000, output=50)
    ground.entered(input=4000, output=50)
    assert explained(ground) == {Cause.CACHE_SPLIT: 3000 * (micro("0.2") - micro(2))}


def test_input_billed_as_uncached_counts_for_the_provider():
    ground = Ground("anthropic")
    ground.billed(input=4000, output=50)
    ground.entered(input=1000, cached=3000, output=50)
    assert explained(ground) == {Cause.CACHE_SPLIT: 3000 * (micro(3) - micro("0.3"))}


def test_an_attempt_near_its_hours_end_is_found_in_the_next_hour_and_costs_nothing():
    ground = Ground()
    ground.entered(hour=10, minute=59.9, input=700, cached=20, output=70)
    ground.billed(hour=11, input=700, cached=20, output=70)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0}


def test_an_attempt_near_its_hours_beginning_is_found_in_the_hour_before():
    ground = Ground("anthropic")
    ground.entered(hour=10, minute=0.2, input=700, output=70)
    ground.billed(hour=9, input=700, output=70)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0}


@pytest.mark.parametrize(("provider", "rate"), [("openai", 2), ("anthropic", 3)])
def test_an_attempt_at_midnight_is_billed_on_the_next_day_and_only_half_of_the_shift_is_this_days(provider, rate):
    ground = Ground(provider)
    ground.both(input=5000, output=1)
    ground.entered(hour=23, minute=59.5, input=700)
    ground.billed(hour=24, input=700)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: -700 * micro(rate)}


@pytest.mark.parametrize(("provider", "rate"), [("openai", 2), ("anthropic", 3)])
def test_an_attempt_of_yesterdays_last_minute_is_this_days_where_it_is_billed(provider, rate):
    ground = Ground(provider)
    ground.entered(hour=-1, minute=59.5, input=700)
    ground.billed(hour=0, input=700)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 700 * micro(rate)}


def test_an_attempt_in_the_middle_of_its_hour_is_not_shifted():
    ground = Ground()
    ground.entered(hour=10, minute=30, input=700, output=70)
    ground.billed(hour=11, input=700, output=70)
    day = ground.day()
    assert Cause.BOUNDARY_SHIFT not in dollars(day)
    assert day.unexplained == 0
    assert len(day.left) == 2


def test_an_attempt_shifts_once():
    """Its neighbour of the same size, from the middle of the hour, does not."""
    ground = Ground()
    ground.entered(hour=10, minute=59.9, input=700, output=70)
    ground.entered(hour=10, minute=30, input=700, output=70)
    ground.billed(hour=11, times=2, input=700, output=70)
    day = ground.day()
    shifted = [share.quantity for share in day.shares if share.cause is Cause.BOUNDARY_SHIFT]
    assert sorted(shifted) == [-700, -70, 70, 700]


def test_a_day_whose_every_hour_is_shifted_is_shifts_alone_and_costs_nothing_but_the_last():
    ground = Ground(bucket=60)
    for hour in range(24):
        ground.both(hour=hour, input=30, output=3)
        ground.entered(hour=hour, minute=59.6, input=1000 + 17 * hour, output=100 + hour)
        ground.billed(hour=hour + 1, minute=0, input=1000 + 17 * hour, output=100 + hour)
    lost = (1000 + 17 * 23) * micro(2) + 123 * micro(10)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: -lost}


def test_attempts_that_shift_together_are_told_by_what_they_come_to():
    """Though another would fit as well, and leave something over."""
    ground = Ground(bucket=60)
    ground.both(hour=10, minute=59.5, input=611, output=287)
    for named in ({"input": 570, "output": 1507}, {"input": 134, "output": 278}):
        ground.entered(hour=10, minute=59.7, **named)
        ground.billed(hour=11, minute=0, **named)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0}


def test_a_shift_is_found_where_a_guess_hides_a_part_of_it():
    ground = Ground(bucket=60)
    ground.both(hour=10, minute=30, input=5, output=5)
    ground.entered(hour=10, minute=59.7, input=765, output=1108)
    ground.billed(hour=11, minute=0, input=765, output=1108)
    ground.entered(hour=11, minute=0.5, input=2436, output=483, estimate=(2436, 0, 0, 4109))
    ground.billed(hour=11, minute=0, input=1988, output=496)
    assert explained(ground) == {
        Cause.BOUNDARY_SHIFT: 0,
        Cause.ESTIMATED_STREAMS: 13 * micro(10) - (2436 - 1988) * micro(2),
    }


def test_a_shift_is_found_that_an_attempt_of_another_tier_hid():
    ground = Ground(bucket=60)
    ground.entered(hour=10, minute=59.7, input=6555, output=371)
    ground.billed(hour=11, minute=0, input=6555, output=371)
    ground.entered(hour=10, minute=59.2, tier="priority", input=1869, output=262)
    ground.billed(hour=10, minute=59, tier="default", input=1869, output=262)
    assert explained(ground) == {
        Cause.BOUNDARY_SHIFT: 0,
        Cause.SERVED_TIER: -1869 * micro(2) - 262 * micro(10),
    }


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_clock_that_is_a_minute_late_for_an_hour_hides_no_other_cause_of_it(provider):
    ground = Ground(provider, bucket=60)
    for minute in range(30, 91):
        late, (hour, told) = divmod(minute - 1, 60), divmod(minute, 60)
        named = {"input": 1000 + 370 * (minute % 7), "output": 10 + minute}
        ground.entered(hour=10 + late[0], minute=late[1] + 0.5, **named)
        ground.billed(hour=10 + hour, minute=told, **named)
    for hour in (10, 11):
        ground.entered(hour=hour, minute=15, input=4000, output=50)
        ground.billed(hour=hour, minute=15, input=1000, cached=3000, output=50)
    read, cached = {"openai": (2, "0.2"), "anthropic": (3, "0.3")}[provider]
    found = explained(ground)
    assert found.pop(Cause.BOUNDARY_SHIFT) == 0
    assert found == {Cause.CACHE_SPLIT: 2 * 3000 * (micro(cached) - micro(read))}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("late", [47, -31])
def test_a_clock_moves_all_that_is_as_near_to_the_turn_though_none_of_it_fits_by_itself(provider, late):
    """Classes of both hours are swapped."""
    ground = Ground(provider, bucket=60)
    models = {"openai": ("sol", "luna", "terra"), "anthropic": ("sonnet", "haiku")}[provider]
    for model in models:
        for number in range(120):
            moment = 11 * 3600 + (number - 60) * 29 + 3
            named = {"model": model, "input": 1000 + 37 * (number * 7 % 31), "output": 10 + number}
            _at(ground.entered, moment - late, named)
            _at(ground.billed, moment, named)
        for hour in (10, 11):
            ground.entered(hour=hour, minute=20, model=model, input=90_000, cached=1000, output=50)
            ground.billed(hour=hour, minute=20, model=model, input=1000, cached=90_000, output=50)
    assert explained(ground) == {
        Cause.BOUNDARY_SHIFT: 0,
        Cause.CACHE_SPLIT: 2 * 89_000 * {"openai": -micro("4.0875"), "anthropic": -micro("3.6")}[provider],
    }


def _at(side, moment, named):
    """Seconds since midnight."""
    hour, seconds = divmod(moment, 3600)
    side(hour=hour, minute=seconds / 60, **named)


def test_attempts_at_the_turn_of_an_hour_stay_where_a_clock_would_explain_less_than_half_of_what_differs():
    ground = Ground(bucket=60)
    for minute in range(30, 58):
        ground.entered(hour=10, minute=minute + 0.9, input=100 + minute)
        ground.billed(hour=10, minute=minute + 1, input=100 + minute)
    ground.both(hour=10, minute=59.9, input=4100, output=41)
    ground.both(hour=11, minute=0.1, input=3900, output=39)
    ground.entered(hour=10, minute=45, input=50, output=5)
    assert Cause.BOUNDARY_SHIFT not in dollars(ground.day())


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_two_clocks_that_differ_within_the_hour_are_no_difference(provider):
    ground = Ground(provider, bucket=60)
    for minute in range(58):
        ground.entered(minute=minute + 0.9, input=100 + minute)
        ground.billed(minute=minute + 1, input=100 + minute)
    assert explained(ground) == {}


def test_causes_of_one_hour_are_told_apart_by_their_minutes():
    """A share is of the hour: what cancels within it is no difference of the bill."""
    ground = Ground("anthropic", bucket=60)
    ground.billed(minute=5, input=1000, cached=3000, output=50)
    ground.entered(minute=5, input=4000, output=50)
    ground.billed(minute=40, input=2000, output=50)
    ground.entered(minute=40, cached=2000, output=50)
    day = ground.day()
    assert dollars(day) == {Cause.CACHE_SPLIT: 1000 * (micro("0.3") - micro(3))}
    assert sorted(share.quantity for share in day.shares) == [-1000, 1000]


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


def test_shifts_are_found_of_a_cell_that_lacked_nothing_before_attempts_of_another_tier_were_taken_out_of_it():
    ground = Ground(bucket=60)
    for named in ({"input": 523, "output": 338}, {"input": 400, "output": 200}):
        ground.entered(hour=10, minute=59.7, **named)
        ground.billed(hour=11, minute=0, **named)
    ground.entered(hour=10, minute=59.2, tier="priority", input=975, output=566)
    ground.billed(hour=10, minute=59, tier="default", input=975, output=566)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0, Cause.SERVED_TIER: -975 * micro(2) - 566 * micro(10)}


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


def test_a_prompt_billed_at_the_rate_of_long_ones_is_told_by_a_report_that_tells_contexts():
    ground = Ground("anthropic")
    ground.entered(input=9000, cached=1000, output=90)
    ground.billed(context="long", input=9000, cached=1000, output=90)
    assert explained(ground) == {
        Cause.LONG_CONTEXT: 9000 * micro(3) + 1000 * micro("0.3") + 90 * (micro("22.5") - micro(15))
    }


def test_an_attempt_that_the_bill_has_once_more_is_told_by_its_quantities():
    ground = Ground()
    ground.both(input=901, output=93)
    ground.both(input=411, output=7)
    ground.billed(input=901, output=93)
    assert explained(ground) == {Cause.STATED_TWICE: 901 * micro(2) + 93 * micro(10)}


def test_an_attempt_stated_twice_is_told_where_requests_are_not_counted():
    ground = Ground("anthropic")
    ground.both(input=901, output=93)
    ground.both(input=411, output=7)
    ground.billed(input=411, output=7)
    assert explained(ground) == {Cause.STATED_TWICE: 411 * micro(3) + 7 * micro(15)}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_an_attempt_stated_twice_is_told_beside_a_swap(provider):
    ground = Ground(provider)
    ground.both(input=901, output=93)
    ground.both(input=411, output=7)
    ground.billed(input=901, output=93)
    ground.billed(input=1000, cached=3000, output=50)
    ground.entered(input=4000, output=50)
    found = explained(ground)
    assert set(found) == {Cause.STATED_TWICE, Cause.CACHE_SPLIT}
    read, cached, written = {"openai": (2, "0.2", 10), "anthropic": (3, "0.3", 15)}[provider]
    assert found[Cause.STATED_TWICE] == 901 * micro(read) + 93 * micro(written)
    assert found[Cause.CACHE_SPLIT] == 3000 * (micro(cached) - micro(read))


def _busy(ground, hour=10):
    """Attempts of six projects; what they come to is odd."""
    for number in range(6):
        ground.both(hour=hour, project=f"p{number}", input=1001 + 2 * number, output=101 + 4 * number)
    return sum(1001 + 2 * number for number in range(6)), sum(101 + 4 * number for number in range(6))


@pytest.mark.parametrize("bucket", [3600, 60])
def test_an_hour_that_the_bill_has_twice_is_told_by_its_even_figures_whatever_else_it_has(bucket):
    ground = Ground(bucket=bucket)
    _busy(ground, 9)
    read, written = _busy(ground)
    ground.entered(minute=5, input=4000, output=51)
    ground.billed(minute=5, input=1000, cached=3000, output=51)
    for cell, quantity in list(ground.usage.items()):
        if cell[0].hour // 3600 == ground.cell(10).hour // 3600:
            ground.usage[cell] += quantity
    for cell in list(ground.requests):
        if cell.hour // 3600 == ground.cell(10).hour // 3600:
            ground.requests[cell] *= 2
    once_more = (read + 1000) * micro(2) + 3000 * micro("0.2") + (written + 51) * micro(10)
    assert explained(ground) == {
        Cause.STATED_TWICE: once_more,
        Cause.CACHE_SPLIT: 3000 * (micro("0.2") - micro(2)),
    }


@pytest.mark.parametrize("bucket", [3600, 60])
def test_a_long_prompt_of_an_hour_that_the_bill_has_twice_is_stated_twice_at_its_own_rate(bucket):
    ground = Ground(bucket=bucket)
    read, written = _busy(ground)
    ground.both(minute=5, context="long", input=300_001, output=77)
    for counted in (ground.usage, ground.requests, ground.long_tokens):
        for name in list(counted):
            counted[name] *= 2
    once_more = (read + 300_001 * 2) * micro(2) + written * micro(10) + 77 * micro(15)
    assert explained(ground) == {Cause.STATED_TWICE: once_more}


def test_a_long_prompt_that_the_bill_has_once_more_is_stated_twice_at_its_own_rate():
    ground = Ground()
    ground.both(input=411, output=7)
    ground.both(context="long", input=300_001, output=77)
    ground.billed(context="long", input=300_001, output=77)
    assert explained(ground) == {Cause.STATED_TWICE: 300_001 * micro(4) + 77 * micro(15)}


def test_an_hour_with_other_attempts_of_even_figures_is_not_stated_twice():
    ground = Ground()
    for number in range(8):
        ground.both(project=f"p{number}", times=2, input=1001 + 2 * number, output=101 + 4 * number)
    assert explained(ground) == {}


def test_two_more_requests_are_no_single_attempt_stated_twice():
    ground = Ground()
    ground.both(input=900, output=90)
    ground.billed(input=900, output=90, requests=2)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == day.billed - day.ledger


@pytest.mark.parametrize(("provider", "read", "written"), [("openai", 2, 10), ("anthropic", 3, 15)])
def test_an_attempt_without_an_end_that_was_billed_is_within_what_it_reserved(provider, read, written):
    ground = Ground(provider)
    ground.both(input=1000, output=100)
    ground.unknown((500, 4096))
    ground.billed(input=450, output=77)
    assert explained(ground) == {Cause.UNKNOWN_ATTEMPTS: 450 * micro(read) + 77 * micro(written)}


def test_an_attempt_without_an_end_that_was_not_billed_is_no_difference():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.unknown((500, 4096))
    assert explained(ground) == {}


def test_an_attempt_without_an_end_explains_no_more_than_it_reserved():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.unknown((500, 50))
    ground.billed(input=600, output=77)
    day = ground.day()
    assert dollars(day) == {Cause.UNKNOWN_ATTEMPTS: 500 * micro(2) + 50 * micro(10)}
    assert day.left == ((ground.told(), tokens(input=100, output=27)),)
    assert day.unexplained == 100 * micro(2) + 27 * micro(10)


def test_no_request_too_many_is_no_attempt_without_an_end():
    ground = Ground()
    ground.both(input=1000, output=100)
    ground.unknown((500, 4096))
    ground.billed(input=10, requests=0)
    assert ground.day().shares == ()


def test_a_stream_that_wrote_more_than_was_seen_is_explained_within_its_bounds():
    ground = Ground("anthropic")
    ground.entered(input=1000, output=100, estimate=(0, 0, 0, 40))
    ground.billed(input=1000, output=133)
    assert explained(ground) == {Cause.ESTIMATED_STREAMS: 33 * micro(15)}


def test_a_prompt_guessed_too_high_is_explained_within_its_bounds():
    ground = Ground()
    ground.entered(input=1250, output=100, estimate=(1250, 0, 0, 4000))
    ground.billed(input=1000, output=118)
    assert explained(ground) == {Cause.ESTIMATED_STREAMS: 18 * micro(10) - 250 * micro(2)}


def test_a_stream_explains_no_more_than_its_bounds():
    ground = Ground("anthropic")
    ground.entered(input=1000, output=100, estimate=(0, 0, 0, 20))
    ground.billed(input=1000, output=150)
    day = ground.day()
    assert dollars(day) == {Cause.ESTIMATED_STREAMS: 20 * micro(15)}
    assert day.unexplained == 30 * micro(15)


@pytest.mark.parametrize("searches", [1, 40])
def test_searches_that_the_ledger_lacks_cost_their_own_price(searches):
    ground = Ground("anthropic")
    ground.both(input=1000, output=100)
    ground.billed(searches=searches)
    assert explained(ground) == {Cause.WEB_SEARCH: searches * micro(10_000)}


@pytest.mark.parametrize(("provider", "read", "written"), [("openai", 2, 10), ("anthropic", 3, 15)])
def test_what_is_not_in_the_bill_may_still_be_stated_while_it_is_not_final(provider, read, written):
    ground = Ground(provider, final=False)
    ground.both(input=1000, output=100)
    ground.entered(input=300, output=30)
    assert explained(ground) == {Cause.NOT_YET_STATED: -300 * micro(read) - 30 * micro(written)}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_is_not_in_a_final_bill_has_no_cause(provider):
    ground = Ground(provider)
    ground.both(input=1000, output=100)
    ground.entered(input=300, output=30)
    day = ground.day()
    assert day.shares == ()
    assert day.unexplained == day.billed - day.ledger < 0


# --- several in one cell


def test_a_swap_of_classes_and_a_swap_of_lives_in_one_cell_are_told_apart():
    ground = Ground("anthropic")
    ground.entered(input=500, cached=100, write_5m=4000, output=50)
    ground.billed(input=300, cached=300, write_5m=1000, write_1h=3000, output=50)
    assert explained(ground) == {
        Cause.CACHE_WRITE_LIFE: 3000 * (micro(6) - micro("3.75")),
        Cause.CACHE_SPLIT: 200 * (micro("0.3") - micro(3)),
    }


def test_a_shift_and_a_swap_in_one_cell_are_told_apart():
    ground = Ground()
    ground.entered(hour=10, minute=59.8, input=700, output=70)
    ground.billed(hour=11, input=700, output=70)
    ground.entered(hour=10, input=5000, output=10)
    ground.billed(hour=10, input=4000, cached=1000, output=10)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0, Cause.CACHE_SPLIT: 1000 * (micro("0.2") - micro(2))}


def test_searches_beside_an_attempt_stated_twice_are_told_apart():
    ground = Ground()
    ground.both(input=901, output=93)
    ground.billed(input=901, output=93)
    ground.billed(hour=11, searches=3, requests=0)
    assert explained(ground) == {
        Cause.STATED_TWICE: 901 * micro(2) + 93 * micro(10),
        Cause.WEB_SEARCH: 3 * micro(10_000),
    }


def test_five_causes_in_one_hour_of_one_key_each_have_their_own_dollars():
    ground = Ground("anthropic", final=False)
    ground.entered(input=4000, write_5m=800, output=50)
    ground.billed(input=1000, cached=3000, write_1h=800, output=50)
    ground.billed(key="key_9", model="haiku", input=10, output=10)
    ground.both(model="haiku", input=77, output=7)
    ground.entered(model="haiku", input=55, output=5)
    ground.billed(model="haiku", searches=2)
    assert explained(ground) == {
        Cause.CACHE_WRITE_LIFE: 800 * (micro(6) - micro("3.75")),
        Cause.CACHE_SPLIT: 3000 * (micro("0.3") - micro(3)),
        Cause.PAST_GATEWAY: 10 * micro(1) + 10 * micro(5),
        Cause.NOT_YET_STATED: -55 * micro(1) - 5 * micro(5),
        Cause.WEB_SEARCH: 2 * micro(10_000),
    }


# --- the order: what leaves no doubt comes first


def test_a_stray_key_is_past_the_gateway_though_an_attempt_without_an_end_could_be_it():
    ground = Ground()
    ground.both(input=10, output=1)
    ground.unknown((500, 4096))
    ground.billed(key="key_9", input=450, output=77)
    assert explained(ground) == {Cause.PAST_GATEWAY: 450 * micro(2) + 77 * micro(10)}


def test_a_shift_is_found_before_a_stream_could_be_blamed_for_it():
    ground = Ground()
    ground.entered(hour=10, minute=59.9, input=700, output=70)
    ground.billed(hour=11, input=700, output=70)
    ground.entered(hour=11, input=100, output=10, estimate=(0, 0, 9000, 9000))
    ground.billed(hour=11, input=100, output=14)
    assert explained(ground) == {Cause.BOUNDARY_SHIFT: 0, Cause.ESTIMATED_STREAMS: 4 * micro(10)}


def test_another_tier_is_found_before_an_attempt_that_is_stated_twice():
    ground = Ground()
    ground.both(tier="default", input=900, output=90)
    ground.entered(tier="priority", input=900, output=90)
    ground.billed(tier="default", input=900, output=90)
    assert explained(ground) == {Cause.SERVED_TIER: -(900 * micro(2) + 90 * micro(10))}


def test_what_can_be_a_swap_is_not_waited_for():
    ground = Ground(final=False)
    ground.entered(input=4000, output=50)
    ground.billed(input=1000, cached=2500, output=50)
    assert explained(ground) == {
        Cause.CACHE_SPLIT: 2500 * (micro("0.2") - micro(2)),
        Cause.NOT_YET_STATED: -500 * micro(2),
    }


# --- what pages may look like


def test_a_cell_that_a_report_has_in_two_rows_counts_with_both():
    """OpenAI's batches are one tier here, whatever tier they name."""
    ground = Ground()
    ground.both(input=1000, output=100)
    whole = ground.bill()
    half = tokens(input=400, output=10)
    rest = tokens(input=600, output=90)
    (usage,) = whole.usage
    told = [type(usage)(usage.cell, half, 1), type(usage)(usage.cell, rest, 0)]
    day = ground.day(ground.bill(usage=told))
    assert (day.shares, day.left, day.unexplained) == ((), (), 0)


def test_what_is_found_does_not_depend_on_the_order_of_pages_and_rows():
    ground = Ground(final=False)
    for hour in (3, 4, 5):
        ground.entered(hour=hour, minute=59.9, input=700 + hour, output=70)
        ground.billed(hour=hour + 1, input=700 + hour, output=70)
        ground.entered(hour=hour, tier="priority", input=900, output=90)
        ground.billed(hour=hour, tier="default", input=900, output=90)
        ground.billed(hour=hour, key="key_9", input=3)
    forth = ground.day()
    bill = ground.bill()
    bill = ground.bill(usage=bill.usage[::-1], lines=bill.lines[::-1])
    back = ground.day(bill, Ledger(ground.rows[::-1]))
    assert (back.ledger, back.billed, back.left) == (forth.ledger, forth.billed, forth.left)
    assert sorted(back.shares, key=str) == sorted(forth.shares, key=str)


def test_a_guess_that_was_too_high_is_no_attempt_of_another_model():
    """What one model's guess has too much of, another's attempt without an end has over: two things, of which neither moved."""
    ground = Ground()
    ground.billed(input=162, model="luna")
    ground.entered(input=244, estimate=(244, 0, 0, 4096), model="luna")
    ground.both(input=41, model="luna")
    ground.billed(input=1787, output=60)
    ground.unknown((2194, 4156))
    assert set(explained(ground)) == {Cause.ESTIMATED_STREAMS, Cause.UNKNOWN_ATTEMPTS}
