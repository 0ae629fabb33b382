"""What an answer of Redis means, in bytes or text, and what is no answer."""

import pytest

from steward.ratelimit import Cost, Limits, Policy, Ring, State, library, wire
from steward.ratelimit.errors import LimiterUnavailable, LimitReached, NeverFits

WANTED = wire.Wanted(Ring("openai:main:gpt"), Limits(10, 100), Policy(), "acme", Cost(1, 5, 5))


def test_a_grant_names_its_second_and_the_rings_life():
    assert wire.granted([b"1", 1_700_000_000, b"1700000000000"], WANTED) == (1_700_000_000, "1700000000000")


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("limit", "has no input tokens left"),
        ("share", "tenant acme has its share of input tokens"),
        ("turn", "another tenant was waiting"),
        ("starting", "starts exhausted"),
        ("throttled", "leave openai:main:gpt alone"),
        ("shrunk", "above what may be used of input tokens"),
    ],
)
def test_a_denial_says_why_and_when_to_ask_again(why, told):
    with pytest.raises(LimitReached, match=told) as refused:
        wire.granted([0, 1500, why, "input_tokens"], WANTED)
    assert (refused.value.retry_after_seconds, refused.value.dimension, refused.value.why) == (1.5, "input_tokens", why)
    assert refused.value.transient
    assert "ask again in 1.5 s" in str(refused.value)


@pytest.mark.parametrize("answer", [[], [2], [0, 1500, "whim", ""], [1, 2, 3, 4]])
def test_what_is_no_answer_grants_nothing(answer):
    with pytest.raises(LimiterUnavailable, match="limits load"):
        wire.granted(answer, WANTED)


def test_what_never_fits_is_not_asked():
    with pytest.raises(NeverFits):
        wire.reserve(WANTED._replace(cost=Cost(11)))


def test_no_limit_is_told_as_minus_one():
    assert wire.reserve(WANTED).args[6:10] == (10, 100, -1, -1)


@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [(1.5, 1500), (-3, 0), (float("nan"), 0), (float("inf"), 600_000), (86_400, 600_000)]
)
def test_no_provider_is_left_alone_for_ever(seconds, milliseconds):
    assert wire.throttled(Ring("a"), seconds).args == (milliseconds,)


def test_a_ring_nobody_knows_is_shown_as_unknown():
    assert wire.state([]) == State(known=False)


def test_the_library_is_one_script_that_names_itself():
    assert library.source().startswith(f"#!lua name={library.NAME}\n")
    assert library.source().count("#!lua") == 1
