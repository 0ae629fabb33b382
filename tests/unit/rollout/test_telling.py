"""A lease is what SDKs were told of it: a renewal that nobody serves keeps no user exposed, and brings nobody back."""

from steward.rollout.telling import Telling


def telling():
    """An attempt that begins: the lease before the last one is known to be served."""
    return Telling(until=104, revision=7, next_until=105)


def test_a_renewal_counts_once_a_server_says_that_it_serves_it():
    told = telling()
    assert not told.is_served(6)
    assert told.until == 104
    assert told.is_served(7)
    assert told.until == 105
    told.renewed(9, 106)
    assert not told.is_served(8)
    assert told.is_served(12)
    assert told.until == 106


def test_a_server_that_does_not_answer_serves_nothing():
    told = telling()
    assert not told.is_served(None)
    assert told.until == 104


def test_once_users_may_be_off_it_is_over_whatever_the_record_has():
    told = telling()
    told.renewed(9, 110)
    assert not told.is_over(103.9)
    assert told.is_over(104)
    assert told.is_served(9)
    assert not told.is_over(104)


def test_a_store_that_changes_otherwise_leaves_open_only_what_was_open():
    told = telling()
    told.renewed(20, 105)
    assert told.is_served(7)
