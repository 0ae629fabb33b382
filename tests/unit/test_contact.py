"""When leases may be believed: after a whole lease of unbroken contact with an even clock."""

from steward.operations.contact import Contact

LEASE = 15.0
NOON = 1_753_963_200.0


def heard(contact, *moments, shift=0.0):
    for moment in moments:
        contact.hear(moment, moment + 0.01, NOON + moment + shift, LEASE)
    return contact


def beat(until, since=0.0):
    return [since + second for second in range(int(until - since) + 1)]


def test_a_watch_that_has_just_started_lets_a_lease_pass():
    contact = heard(Contact(), *beat(14))
    assert not contact.is_settled(14.9, LEASE)
    assert contact.is_settled(15.1, LEASE)


def test_a_database_that_was_away_begins_the_wait_anew():
    contact = heard(Contact(), *beat(100))
    contact.lose("no answer")
    assert not contact.is_settled(1000.0, LEASE)
    heard(contact, *beat(120, since=110))
    assert not contact.is_settled(124.0, LEASE)
    assert contact.is_settled(125.1, LEASE)


def test_a_clock_set_forward_or_back_begins_the_wait_anew():
    for jump in (3600.0, -3600.0, 5.0):
        contact = heard(Contact(), *beat(100))
        heard(contact, *beat(110, since=101), shift=jump)
        assert not contact.is_settled(115.0, LEASE)
        assert f"jumped by {jump:+.1f} s" in contact.why
        assert contact.is_settled(116.1, LEASE)


def test_a_slow_answer_is_no_jump():
    contact = heard(Contact(), *beat(100))
    contact.hear(101.0, 106.0, NOON + 105.5, LEASE)
    heard(contact, 107.0)
    assert contact.is_settled(107.0, LEASE)


def test_a_watch_that_was_frozen_has_not_seen_what_happened():
    contact = heard(Contact(), *beat(100))
    heard(contact, 160.0)
    assert not contact.is_settled(160.1, LEASE)


def test_an_answer_that_took_half_a_lease_is_as_good_as_none():
    contact = heard(Contact(), *beat(100))
    contact.hear(101.0, 121.0, NOON + 120.9, LEASE)
    assert not contact.is_settled(121.0, LEASE)


def test_the_databases_time_goes_on_while_it_is_away():
    contact = heard(Contact(), 0.0)
    contact.lose("no answer")
    assert abs(contact.database_seconds(60.0) - (NOON + 60.0)) < 0.1
    assert Contact().database_seconds(60.0) is None


def test_no_lease_is_believed_in_a_silence_that_has_not_ended_yet():
    contact = heard(Contact(), *beat(100))
    assert contact.is_settled(107.0, LEASE)
    assert not contact.is_settled(108.0, LEASE)
