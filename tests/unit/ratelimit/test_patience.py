"""Who waits asks often enough to keep its place, and not in vain."""

import pytest

from steward.ratelimit.errors import LimitReached
from steward.ratelimit.patience import pause_seconds


def denied(why, seconds):
    return LimitReached("", retry_after_seconds=seconds, dimension="", why=why)


@pytest.mark.parametrize("why", ["limit", "share", "turn", "shrunk"])
def test_a_far_hint_is_not_waited_for_in_one_go(why):
    pauses = [pause_seconds(denied(why, 60), 10) for _ in range(200)]
    assert all(0.25 <= pause <= 0.5 for pause in pauses)
    assert len(set(pauses)) > 100


def test_a_near_hint_is_followed():
    assert all(0.025 <= pause_seconds(denied("turn", 0.05), 10) <= 0.05 for _ in range(200))


def test_nobody_waits_without_patience():
    assert pause_seconds(denied("limit", 0.1), 0) is None
    assert pause_seconds(denied("limit", 0.1), -1) is None


@pytest.mark.parametrize("why", ["starting", "throttled"])
def test_what_is_sure_is_waited_for_whole_or_not_at_all(why):
    assert pause_seconds(denied(why, 60), 59) is None
    assert all(20 <= pause_seconds(denied(why, 20), 30) <= 20.5 for _ in range(200))


def test_the_last_question_is_asked_within_the_patience():
    assert all(pause_seconds(denied("limit", 60), 0.1) <= 0.1 for _ in range(200))
