"""A kind counts as counted only where every process that users may meet counts it, now."""

from steward.clients.flag_kinds import counted_by_all
from steward.clients.prometheus_answers import value

NOW = 1_000.0


def told(instance, *kinds, age=0.5):
    """At one scrape."""
    return [value(1, NOW - age, NOW, 20, {"instance": instance, "kind": kind}) for kind in kinds]


def test_a_kind_that_one_of_two_processes_does_not_count_is_not_counted():
    assert counted_by_all([*told("one", "error", "ordered"), *told("two", "error", age=1.2)]) == {"error"}


def test_what_the_process_before_counted_at_the_same_address_is_not_counted():
    assert counted_by_all([*told("one", "error"), *told("one", "ordered", age=6)]) == {"error"}


def test_a_process_of_which_nothing_is_heard_any_more_is_not_asked_for():
    assert counted_by_all([*told("one", "error", "ordered"), *told("two", "error", age=21)]) == {"error", "ordered"}
    assert counted_by_all(told("two", "error", age=21)) == counted_by_all([]) == frozenset()
