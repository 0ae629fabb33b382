"""Where several causes meet in one cell: told apart, in the order of least doubt, however pages lie."""

from __future__ import annotations

from steward.costs.causes import Cause
from tests.unit.costs.ground import Ground, Ledger, dollars, explained, micro, tokens


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
