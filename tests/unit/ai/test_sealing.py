"""Which hours are sealed, under what names, and what is said of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.ai.sealing import (
    HOUR,
    SETTLING,
    CheckedHour,
    ClosedHour,
    Figures,
    Sealed,
    SealedHour,
    StoredHour,
    Survey,
    WaitingHour,
    hour_of,
    manifest_of,
    name_of,
    plan_hours,
    sha256_of,
    sound,
)
from steward.ai.sealing_report import SealingBegun, SealingFacts, SealReport, assess_sealing, render_sealing, states_of
from steward.verdicts import Verdict

LEDGER = UUID("6f6d1d0c-2a3b-5e0e-9d0a-0f2d8a0f6b11")
NOW = datetime(2026, 11, 26, 4, 20, tzinfo=UTC)
THREE = datetime(2026, 11, 26, 3, tzinfo=UTC)
# Hypothesis takes the zone apart from the bounds.
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(now=moments, age=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_from_the_first_attempt_on_every_hour_that_is_over_is_due_and_none_twice(now, age):
    oldest = now - age
    hours = plan_hours(Survey(now=now, oldest=oldest))
    assert all(later - earlier == HOUR for earlier, later in pairwise(hours))
    assert hours[0] <= oldest
    assert hours[-1] + HOUR + SETTLING <= now < hours[-1] + 2 * HOUR + SETTLING
    rest = plan_hours(Survey(now=now, oldest=oldest, last_sealed=hours[0]))
    assert rest == hours[1:]


@pytest.mark.parametrize(("minute", "last"), [(14, THREE - HOUR), (15, THREE), (59, THREE)])
def test_an_hour_is_left_open_until_the_longest_attempt_can_have_ended(minute, last):
    assert plan_hours(Survey(now=NOW.replace(minute=minute), last_sealed=THREE - 2 * HOUR))[-1] == last


def test_where_nothing_was_ever_entered_the_chain_begins_with_the_last_hour():
    assert plan_hours(Survey(now=NOW)) == [THREE]
    assert plan_hours(Survey(now=NOW, oldest=NOW)) == [THREE]
    assert plan_hours(Survey(now=NOW, last_sealed=THREE)) == []


def test_an_hour_is_that_of_utc_whatever_the_clock_on_the_wall_says():
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    assert hour_of(NOW.astimezone(kathmandu)) == datetime(2026, 11, 26, 4, tzinfo=UTC)
    assert name_of(LEDGER, THREE.astimezone(kathmandu)) == f"ai-attempts/{LEDGER}/2026/11/26/03"
    assert name_of(LEDGER, THREE, 2) == f"ai-attempts/{LEDGER}/2026/11/26/03.e2"


def closed(hour=THREE, rows=2):
    return ClosedHour(
        hour=hour, ledger=LEDGER, edition=1, rows=rows, states={"settled": Figures(rows=rows, sums={"output": 14})}
    )


def checked(hour=THREE, *findings):
    stored = StoredHour(closed=closed(hour), version_id="v", sha256="a" * 64, bytes=9)
    return CheckedHour(stored=stored, findings=findings)


def sealed(hour=THREE):
    told = closed(hour)
    return SealedHour(
        hour=hour,
        rows=2,
        object_key=told.object_key,
        version_id="v",
        sha256="a" * 64,
        bytes=9,
        manifest_key=told.manifest_key,
        manifest_sha256="b" * 64,
    )


def begun(*hours, left=0):
    return SealingBegun(started_at=NOW, hours=hours, left=left, last_sealed=THREE)


def test_a_manifest_is_the_same_at_every_try_and_names_the_one_before():
    told = manifest_of(checked().stored, "c" * 64)
    assert told == manifest_of(checked().stored, "c" * 64)
    assert json.loads(told)["previous"] == "c" * 64
    assert sha256_of(told) != sha256_of(manifest_of(checked().stored, None))


def test_the_chain_does_not_pass_by_an_hour():
    good, bad, later = checked(THREE), checked(THREE + HOUR, "differs"), checked(THREE + 2 * HOUR)
    assert sound([good, bad, later]) == [good]


@pytest.mark.parametrize(
    ("facts", "hours", "left", "verdict", "words"),
    [
        (SealingFacts(checked=(checked(),), sealed=Sealed(hours=(sealed(),))), (THREE,), 0, Verdict.VERIFIED, None),
        (SealingFacts(checked=(checked(THREE, "differs"),)), (THREE,), 0, Verdict.REFUTED, "differs"),
        (SealingFacts(sealed=Sealed(findings=("no manifest",))), (THREE,), 0, Verdict.REFUTED, "no manifest"),
        (
            SealingFacts(waiting=(WaitingHour(hour=THREE, reason="2 are open"),)),
            (THREE,),
            0,
            Verdict.UNKNOWN,
            "2 are open",
        ),
        (SealingFacts(checked=(checked(),), sealed=Sealed(hours=(sealed(),))), (THREE,), 7, Verdict.UNKNOWN, "7 more"),
        (SealingFacts(), (THREE,), 0, Verdict.UNKNOWN, "1 hours are not sealed"),
        (SealingFacts(error="it broke"), (THREE,), 0, Verdict.UNKNOWN, None),
        (SealingFacts(), (), 0, Verdict.UNKNOWN, "no hour is due"),
    ],
)
def test_green_is_only_what_was_sealed_to_the_last_hour(facts, hours, left, verdict, words):
    found, reasons = assess_sealing(begun(*hours, left=left), facts)
    assert found is verdict
    assert words is None or words in " ".join(reasons)


def test_only_sealed_hours_are_counted():
    facts = SealingFacts(checked=(checked(), checked(THREE + HOUR, "differs")), sealed=Sealed(hours=(sealed(),)))
    assert states_of(facts) == {"settled": 2}


def test_the_page_says_the_verdict_and_each_hour():
    report = SealReport(
        period="2026-11-26T04Z",
        attempt=1,
        verdict=Verdict.VERIFIED,
        begun=begun(THREE),
        sealed=(sealed(),),
        states={"settled": 2},
        ended_at=NOW,
    )
    page = render_sealing(report)
    assert "verdict: VERIFIED" in page
    assert "| 2026-11-26 03:00 UTC | 2 | 9 |" in page
    assert "| sealed as settled | 2 |" in page
