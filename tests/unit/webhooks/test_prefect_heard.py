"""Whether Prefect answers is said by whoever asked it, and by the newest question."""

import time
from types import SimpleNamespace

import pytest

from services.webhooks.counting import Counts
from services.webhooks.dispatcher import Lane
from services.webhooks.starting import Decided, Postponed, Refused, Started, prefect_answered


@pytest.mark.parametrize(
    ("outcome", "answers"),
    [
        (Started("a-run"), True),
        (Started("a-run", unheard="422"), True),
        (Refused("no such deployment"), True),
        (Postponed("Prefect does not answer", 1, is_away=True), False),
        (Postponed("waits for proof", 30), None),
        (Decided("approved"), None),
    ],
)
def test_outcomes_that_asked_prefect_alone_say_whether_it_answers(outcome, answers):
    assert prefect_answered(outcome) is answers


def test_a_question_that_times_out_late_takes_back_no_newer_answer():
    counts, now = Counts(), time.monotonic()
    counts.prefect(answers=True, asked_at=now - 1)
    counts.prefect(answers=False, asked_at=now - 5)
    assert counts.registry.get_sample_value("steward_webhook_prefect_up") == 1
    counts.prefect(answers=False, asked_at=now)
    assert counts.registry.get_sample_value("steward_webhook_prefect_up") == 0


def test_what_was_not_asked_lately_is_not_known():
    counts = Counts()
    assert counts.prefect_answers() is None
    counts.prefect(answers=False, asked_at=time.monotonic() - 301)
    assert counts.prefect_answers() is None
    assert counts.registry.get_sample_value("steward_webhook_prefect_up") is None


def test_pauses_grow_until_prefect_answers_whatever_else_is_done_meanwhile():
    waited = []
    lane = Lane(SimpleNamespace(settings=None, counts=Counts(), stopped=SimpleNamespace(wait=waited.append)))
    away, evidence = Postponed("Prefect does not answer", 1, is_away=True), Postponed("waits for proof", 30)
    for outcome in (away, evidence, away, Decided("approved"), away, Started("a-run"), away):
        lane._heed_prefect(outcome, time.monotonic())
    assert waited == [0.5, 1, 2, 0.5]


def test_an_event_that_prefect_did_not_take_is_counted_beside_its_start():
    counts = Counts()
    counts.add("ci", Started("a-run", unheard="422"))
    counts.add("ci", Started("another"))
    assert counts.registry.get_sample_value("steward_webhook_events_refused_total", {"source": "ci"}) == 1
    assert counts.registry.get_sample_value("steward_webhook_starts_total", {"source": "ci", "outcome": "started"}) == 2
