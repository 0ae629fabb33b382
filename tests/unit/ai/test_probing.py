"""What is made of probes: states, uptime without time that nobody saw, and news that one bad moment is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from steward.ai.probing import COVERS, ProviderState, Span, Standing, Uptime, classify, news, standing, uptime

UP, DEGRADED, DOWN, REFUSED, UNKNOWN = ProviderState
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def span(state, first, last=None, probes=None):
    last = first if last is None else last
    return Span(state, at(first), at(last), probes or 1 + int(last - first) // 30)


@pytest.mark.parametrize(
    ("status", "milliseconds", "is_json", "expected"),
    [
        (200, 80, True, (UP, None)),
        (200, 2000, True, (UP, None)),
        (200, 2001, True, (DEGRADED, "slow")),
        (200, 80, False, (DOWN, "not_the_api")),
        (429, 80, True, (DEGRADED, "throttled")),
        (401, 80, True, (REFUSED, "http_401")),
        (403, 80, True, (REFUSED, "http_403")),
        (404, 80, True, (REFUSED, "http_404")),
        (301, 80, False, (REFUSED, "http_301")),
        (408, 80, True, (DOWN, "http_408")),
        (500, 80, True, (DOWN, "http_500")),
        (503, 80, False, (DOWN, "http_503")),
        (529, 80, True, (DOWN, "http_529")),
    ],
)
def test_an_answer_is_told_by_its_head(status, milliseconds, is_json, expected):
    assert classify(status, milliseconds, is_json=is_json) == expected


def test_time_that_nobody_saw_is_unknown_and_not_up():
    seen = uptime([span(UP, 0, 600), span(UP, 3000, 3600)], at(0), at(3600))
    assert (seen.up, seen.unknown) == (600 + 90 + 600, 3600 - 1290)
    assert seen.percent == 100


def test_a_state_stands_until_the_next_probe_and_no_longer():
    seen = uptime([span(UP, 0, 270), span(DOWN, 300, 570), span(DEGRADED, 600, 870)], at(0), at(900))
    assert (seen.up, seen.down, seen.degraded, seen.unknown) == (300, 300, 300, 0)
    assert seen.percent == pytest.approx(66.666, abs=0.001)


def test_a_window_begins_and_ends_within_spans():
    seen = uptime([span(DOWN, -600, -30), span(UP, 0, 3600)], at(-60), at(60))
    assert (seen.down, seen.up, seen.unknown) == (60, 60, 0)


def test_a_key_that_is_refused_is_neither_uptime_nor_downtime_of_the_provider():
    seen = uptime([span(UP, 0, 270), span(REFUSED, 300, 570), span(UNKNOWN, 600, 870)], at(0), at(900))
    assert (seen.up, seen.refused, seen.unknown, seen.percent) == (300, 300, 300, 100)


def test_without_any_probe_there_is_no_percentage():
    seen = uptime([], at(0), at(900))
    assert (seen.unknown, seen.percent) == (900, None)


def test_a_failure_is_never_rounded_away():
    seen = uptime([span(DOWN, 0), span(UP, 0.001, 10**8)], at(0), at(10**8))
    assert seen.percent == 99.999


@pytest.mark.parametrize("up", [0.687011, *(number / 1_000_000 for number in range(1, 2_000_000, 7_919))])
def test_whoever_always_answered_is_up_for_all_of_the_time(up):
    assert Uptime(up=up).percent == 100


def test_a_watch_that_is_silent_leaves_the_state_unknown_since_then():
    seen = [span(UP, 0, 600)]
    assert standing(seen, at(690)) == Standing(state=UP, since=at(0))
    assert standing(seen, at(691)) == Standing(state=UNKNOWN, since=at(600) + COVERS)
    assert standing([], at(0)) == Standing(state=UNKNOWN)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], None),
        ([span(UNKNOWN, 0, 300)], None),
        ([span(UP, 0)], (UP, 0)),
        ([span(UP, 0), span(DOWN, 30)], None),
        ([span(UP, 0), span(DOWN, 30, 60)], (DOWN, 30)),
        ([span(DOWN, 0, 300), span(UP, 330)], (UP, 330)),
        ([span(DOWN, 0, 300), span(DEGRADED, 330)], (UP, 330)),
        ([span(UP, 0), span(REFUSED, 30, 60)], (REFUSED, 30)),
        # Whatever it fails by, it fails.
        ([span(UP, 0), span(DOWN, 30), span(REFUSED, 60)], (REFUSED, 30)),
        # Our own vault was away between: the failures are as they were.
        ([span(DOWN, 0), span(UNKNOWN, 30), span(DOWN, 60)], (DOWN, 0)),
        # An hour in which nobody asked parts them.
        ([span(DOWN, 0), span(DOWN, 3600)], None),
        # Two watches, one moment.
        ([span(UP, 0), Span(DOWN, at(30), at(30.2), 2)], None),
        ([span(UP, 0), Span(DOWN, at(30), at(45), 2)], (DOWN, 30)),
    ],
)
def test_one_failure_is_weather_two_are_news_and_one_answer_is_news_again(spans, expected):
    assert news(spans) == (expected and Standing(state=expected[0], since=at(expected[1])))
