"""Which deliveries are missing, how far back is looked, and what that comes to: plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from steward.verdicts import Verdict
from steward.webhooks.reconciling import (
    MOST_RECOVERED,
    Listed,
    Missing,
    Outcome,
    Recovered,
    Report,
    Unreadable,
    plan_recovery,
    render,
    span_of,
)

NOW = datetime(2026, 11, 27, 12, 35, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPAN = span_of(NOW, None)


def listed(number, guid="", minutes=30, event="deployment"):
    return Listed(id=number, guid=guid or f"guid-{number}", delivered_at=NOW - timedelta(minutes=minutes), event=event)


def planned(*found, known=()):
    return plan_recovery(SPAN, found, set(known), {"deployment", "ping"})


def outcome(**parts):
    return Outcome(source="github", settled=NOW - 5 * HOUR, **{"found": planned(), **parts})


LOST = Unreadable(guid="guid-1", id=1, event="deployment", why="the body lacks deployment.id")


def test_the_first_run_looks_back_three_hours_and_leaves_two_minutes():
    assert (SPAN.since, SPAN.until) == (NOW - 3 * HOUR, NOW - timedelta(minutes=2))
    assert SPAN.forgotten_since is None


@pytest.mark.parametrize(("ago", "looked"), [(1, 3), (3, 3), (5, 5), (71, 71), (72, 72)])
def test_it_goes_back_to_what_was_settled_and_three_hours_at_least(ago, looked):
    span = span_of(NOW, NOW - ago * HOUR)
    assert (span.since, span.forgotten_since) == (NOW - looked * HOUR, None)


def test_what_github_has_forgotten_meanwhile_is_said():
    span = span_of(NOW, NOW - 80 * HOUR)
    assert (span.since, span.forgotten_since) == (NOW - 72 * HOUR, NOW - 80 * HOUR)
    told = outcome(found=Missing(span=span, had=0, foreign=0, missing=()))
    assert told.verdict is Verdict.UNKNOWN
    assert "GitHub has forgotten" in told.findings[0]
    # Told once: nobody could find out more by asking again.
    assert told.settled_until == span.until


def test_each_guid_that_the_inbox_lacks_is_missing_once_in_the_order_of_delivery():
    found = planned(
        listed(9, "again", minutes=3),
        listed(5, minutes=20),
        listed(4, "again", minutes=40),
        listed(3, minutes=50),
        known={"guid-5"},
    )
    assert [each.id for each in found.missing] == [3, 9]
    assert (found.had, found.foreign, found.left) == (1, 0, 0)


def test_young_ones_are_left_and_old_ones_are_not_looked_at():
    assert planned(listed(1, minutes=1), listed(2, minutes=181)).missing == ()


def test_events_that_nothing_handles_are_counted_and_not_missing():
    found = planned(listed(1, event="star"), listed(2, event="ping"))
    assert (found.foreign, [each.id for each in found.missing]) == (1, [2])


def test_more_than_one_run_can_bring_are_left_and_nothing_is_settled():
    found = planned(*(listed(number) for number in range(MOST_RECOVERED + 3)))
    assert (len(found.missing), found.left) == (MOST_RECOVERED, 3)
    told = outcome(found=found)
    assert (told.verdict, told.settled_until) == (Verdict.UNKNOWN, NOW - 5 * HOUR)


@pytest.mark.parametrize(
    ("parts", "verdict", "settled"),
    [
        ({}, Verdict.VERIFIED, SPAN.until),
        ({"error": "GitHub does not answer"}, Verdict.UNKNOWN, NOW - 5 * HOUR),
        ({"found": None, "error": "GitHub answers with 404"}, Verdict.UNKNOWN, NOW - 5 * HOUR),
        ({"unreadable": (LOST,)}, Verdict.REFUTED, NOW - 5 * HOUR),
    ],
)
def test_only_what_was_settled_moves_the_next_runs_beginning(parts, verdict, settled):
    told = outcome(**parts)
    assert (told.verdict, told.settled_until) == (verdict, settled)


def test_the_report_tells_the_worst_first_and_each_that_was_recovered():
    recovered = Recovered(guid="guid-7", event="deployment", key="deployment/7/created", row=12, is_new=True)
    away = Outcome(source="other", error="GitHub does not answer")
    report = Report(
        period="2026-11-27T12Z",
        attempt=1,
        started_at=NOW,
        ended_at=NOW,
        outcomes=(away, outcome(recovered=(recovered,), unreadable=(LOST,))),
    )
    assert report.verdict is Verdict.REFUTED
    assert report.findings[0].startswith("github: delivery guid-1 (deployment, 1 at GitHub) cannot be read")
    assert {"verdict: REFUTED", "| `guid-7` | `deployment/7/created` | 12 |"} <= set(render(report).splitlines())
