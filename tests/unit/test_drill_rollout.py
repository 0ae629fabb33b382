"""The drill of rollouts can fail: whatever it is to see is seen, from an SDK's looks and samples of the record alone."""

import pytest

from steward.flags.buckets import bucket
from tests.drills.rollout.cases import FIRST, KINDS, VICTIMS, drawn, places
from tests.drills.rollout.exposure import beyond, bound, flips, late, renewed
from tests.drills.rollout.seeing import USERS, Sample, Tick, users_of
from tests.drills.rollout.table import render

LEASE = 5.0


def seen(*exposed, at=100.0):
    """A look each second, with so many users exposed."""
    return [Tick(at + number, "1" * many + "0" * (USERS - many)) for number, many in enumerate(exposed)]


def sample(at, lease_until, state="exposing", exposure=25):
    return Sample(at, "running", None, 1, 7, state, 1, exposure, 1, lease_until)


def test_whoever_is_exposed_after_the_lease_is_late_and_a_second_is_given():
    samples = [sample(100, 105)]
    assert late(seen(10, 10, 0, at=104), lambda at: bound(samples, at)) == []
    assert late(seen(10, 10, 0, at=105.5), lambda at: bound(samples, at)) == [0.5]


def test_a_dead_controllers_lease_counts_from_its_death_whatever_is_on_record():
    samples = [sample(100, 105), sample(104, 109)]
    assert bound(samples, 108) == 110
    assert bound(samples, 108, died_at=101, lease_seconds=LEASE) == 107


def test_a_lease_that_was_renewed_later_excuses_nothing_before():
    samples = [sample(100, 105), sample(108, 113)]
    assert late(seen(10, at=107), lambda at: bound(samples, at)) == [1.0]


def test_only_what_was_certified_stays():
    samples = [sample(100, 105), sample(103, 105, "certified", 100)]
    assert bound(samples, 200) == float("inf")
    assert bound(samples, 102) == 106


def test_a_lease_while_nobody_is_exposed_excuses_nothing():
    assert bound([sample(100, 1000, "preparing", 0)], 101) == 1.0


@pytest.mark.parametrize(
    ("course", "times"), [((0, 10, 10, 40, 0), 0), ((0, 10, 0, 10, 0), 10), ((40, 0, 40, 0, 10), 50), ((), 0)]
)
def test_a_user_who_comes_back_has_flipped(course, times):
    assert flips(seen(*course)) == times


def test_more_users_than_are_recorded_are_seen():
    assert beyond(seen(0, 10, 10), [(100.5, 25)]) == []
    assert len(beyond(seen(10, 11), [(99.0, 25)])) == 1
    assert len(beyond(seen(10, 40), [(99.0, 25), (102.0, 100)])) == 1


def test_a_renewal_without_data_is_seen_and_one_under_way_is_not():
    samples = [sample(at, at + 4 + at % 2) for at in range(100, 110)]
    assert renewed([sample(100, 105), sample(101, 106), sample(102, 106), sample(108, 106)], 100, 109) == 0
    assert renewed(samples, 100, 109) > 0


def test_the_users_who_are_watched_are_one_of_each_part():
    assert [bucket("new-search", user, USERS) for user in users_of("new-search")] == list(range(USERS))


def test_cases_are_the_same_again_and_cover_whom_they_hit_how_and_where():
    cases = drawn(1, 200)
    assert cases == drawn(1, 200)
    assert cases != drawn(2, 200)
    assert {case.place for case in drawn(1, len(FIRST) + len(places()))} == set(places())
    met = {(case.victim, case.kind, case.away) for case in drawn(1, 40)}
    assert met == {(victim, *kind) for victim in VICTIMS for kind in KINDS}


def test_the_table_has_a_line_for_each_case():
    cases = drawn(1, 3)
    text = render(1, [(case, "withdrawn", 2, 3.25, "") for case in cases], {"cases": 3}, (9, []))
    assert text.count("| 3.2 s |") == 3
    assert "0 let a step go on" in text
