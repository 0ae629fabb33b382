"""How long a form stays with whoever fills it in. That Prefect shows it, tests of the flow show."""

from __future__ import annotations

import time

import pytest

from steward.rollout.passing import Asks
from tasks import rollout_questions
from tasks.rollout_questions import Questions


@pytest.fixture
def forms(monkeypatch):
    """All that were opened; one is answered once *words* has something."""
    opened = []

    class Form:
        def __init__(self, asks, _rollout) -> None:
            self.asks, self.words, self.looks, self.closed = asks, [], 0, False
            opened.append(self)

        def answers(self):
            self.looks += 1
            return self.words

        def close(self):
            self.closed = True

    monkeypatch.setattr(rollout_questions, "_Form", Form)
    monkeypatch.setattr(rollout_questions, "Announcements", lambda _rollout: lambda _happened: None)
    return opened


@pytest.fixture
def questions(forms):
    with Questions(None) as opened:
        yield opened


def asked(questions, asks, times=3):
    """What is answered in so many looks, each of which has looked into the form."""
    found = []
    for _ in range(times):
        found += questions.ask(asks)
        while questions._answers is not None and not questions._answers.done():
            time.sleep(0.001)
    return found


def test_the_form_of_an_approval_stays_open_while_proof_blinks(questions, forms):
    asked(questions, Asks.APPROVAL)
    asked(questions, None)
    asked(questions, Asks.APPROVAL)

    assert [(each.asks, each.closed) for each in forms] == [(Asks.APPROVAL, False)]


def test_another_question_closes_it_and_so_does_the_end_of_the_need_for_an_override(questions, forms):
    asked(questions, Asks.APPROVAL)
    asked(questions, Asks.OVERRIDE)
    asked(questions, None)

    assert [(each.asks, each.closed) for each in forms] == [(Asks.APPROVAL, True), (Asks.OVERRIDE, True)]


def test_a_word_that_is_given_while_proof_is_gone_is_taken_and_nobody_is_asked_again(questions, forms):
    asked(questions, Asks.APPROVAL)
    forms[0].words = ["approved"]

    assert asked(questions, None, times=5) == ["approved"]
    assert len(forms) == 1
    looked = forms[0].looks
    asked(questions, None)
    assert forms[0].looks == looked
