"""The providers' limits against a judge that keeps every request and adds up each window anew."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica.providers.configuration import Account, Limit
from replica.providers.limits import Oracle

WINDOW = 60.0
LIMIT = Limit("*", requests=5, tokens=100, input_tokens=70, output_tokens=60)
ACCOUNT = Account("main", "openai", "org", "", limits=[LIMIT])

requests = st.lists(
    st.tuples(
        # Whole and half seconds, so that windows' edges are met exactly.
        st.integers(0, 50).map(lambda half: half / 2),
        st.integers(0, 60),
        st.integers(0, 60),
        # What it wrote in the end.
        st.integers(0, 60),
    ),
    max_size=40,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _oracle(mode: str) -> tuple[Oracle, Clock]:
    clock = Clock()
    return Oracle([ACCOUNT], WINDOW, mode, clock), clock


def _fits(window: list[list[float]], incoming: list[float]) -> bool:
    counted = [*window, incoming]
    inputs, outputs = sum(each[1] for each in counted), sum(each[2] for each in counted)
    return len(counted) <= 5 and inputs + outputs <= 100 and inputs <= 70 and outputs <= 60


@settings(max_examples=150, deadline=None)
@given(requests)
def test_what_is_admitted_never_exceeds_a_window_and_nothing_that_fits_is_refused(asked) -> None:
    oracle, clock = _oracle("enforce")
    kept: list[list[float]] = []
    for pause, tokens_in, reserved, written in asked:
        clock.now += pause
        window = [each for each in kept if clock.now - WINDOW < each[0]]
        incoming = [clock.now, tokens_in, reserved]
        log, entry, excess = oracle.admit("main", "m", tokens_in, reserved)
        assert (excess is None) == _fits(window, incoming)
        if excess is None:
            kept.append(incoming)
            output = min(reserved, written)
            log.correct(entry, output)
            incoming[2] = output
    assert all(value <= 100 for row in oracle.report()["data"] for value in row["worst_percent"].values())


@settings(max_examples=150, deadline=None)
@given(requests)
def test_observing_admits_everything_and_finds_the_worst_window(asked) -> None:
    oracle, clock = _oracle("observe")
    kept: list[tuple[float, int]] = []
    worst, violations = 0.0, 0
    for pause, tokens_in, reserved, _ in asked:
        clock.now += pause
        window = [each for each in kept if clock.now - WINDOW < each[0]]
        inputs = [each[1] for each in window]
        violations += not _fits([[0, each[1], each[2]] for each in window], [0, tokens_in, reserved])
        kept.append((clock.now, tokens_in, reserved))
        worst = max(worst, 100 * (sum(inputs) + tokens_in) / 70)
        assert oracle.admit("main", "m", tokens_in, reserved)[2] is None
    report = oracle.report()
    assert report["violations"] == violations
    if asked:
        assert report["data"][0]["worst_percent"]["input_tokens"] == pytest.approx(worst, abs=0.001)


@settings(max_examples=150, deadline=None)
@given(requests, st.integers(0, 60), st.integers(0, 60))
def test_the_wait_that_is_told_is_the_shortest_that_helps(asked, tokens_in, reserved) -> None:
    oracle, clock = _oracle("enforce")
    for pause, *tokens, _ in asked:
        clock.now += pause
        oracle.admit("main", "m", *tokens)
    _, _, excess = oracle.admit("main", "m", tokens_in, reserved)
    if excess is None:
        return
    if math.isinf(excess.retry_seconds):
        assert tokens_in > 70 or reserved > 60 or tokens_in + reserved > 100
        return
    told = clock.now + excess.retry_seconds
    clock.now = told - 0.25
    assert oracle.admit("main", "m", tokens_in, reserved)[2] is not None
    clock.now = told
    assert oracle.admit("main", "m", tokens_in, reserved)[2] is None


def test_a_window_begins_just_after_its_first_moment() -> None:
    oracle, clock = _oracle("enforce")
    for _ in range(5):
        assert oracle.admit("main", "m", 1, 0)[2] is None
    clock.now = WINDOW - 0.001
    assert oracle.admit("main", "m", 1, 0)[2] is not None
    clock.now = WINDOW
    assert oracle.admit("main", "m", 1, 0)[2] is None


def test_accounts_and_models_do_not_share_a_log() -> None:
    oracle, _ = _oracle("enforce")
    for _ in range(5):
        oracle.admit("main", "m", 1, 0)
    assert oracle.admit("main", "m", 1, 0)[2] is not None
    assert oracle.admit("main", "other", 1, 0)[2] is None
    assert oracle.admit("spare", "m", 1, 0)[2] is None


def test_a_limit_that_is_changed_counts_what_is_in_the_window() -> None:
    oracle, _ = _oracle("enforce")
    for _ in range(3):
        oracle.admit("main", "m", 1, 0)
    oracle.change("main", Limit("m", requests=3))
    assert oracle.admit("main", "m", 1, 0)[2] is not None
