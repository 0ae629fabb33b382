"""What providers' headers tell; examples as documented by the providers."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.ratelimit import Observed, Seen, observed, retry_after_seconds

OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-01-27T20:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "40000",
    "anthropic-ratelimit-input-tokens-remaining": "38000",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "8000",
    "anthropic-ratelimit-tokens-limit": "48000",
    "anthropic-ratelimit-tokens-remaining": "46000",
}


def test_openai_tells_of_requests_and_of_tokens_together():
    assert observed(OPENAI, age_seconds=1.5) == Observed(
        requests=Seen(60, 59), tokens=Seen(150_000, 149_984), age_seconds=1.5
    )


def test_anthropic_tells_of_input_and_output_apart_rounded_to_thousands():
    assert observed(ANTHROPIC) == Observed(
        requests=Seen(50, 49), input_tokens=Seen(40_000, 38_500), output_tokens=Seen(8_000, 8_000)
    )


def test_numbers_stand_in_the_rings_order():
    assert observed(ANTHROPIC).numbers == (50, 40_000, 8_000, -1, 49, 38_500, 8_000, -1)


@pytest.mark.parametrize("told", ["", "many", "-1", "1e9", "9" * 13, "0", "5.5"])
def test_a_limit_that_is_none_is_not_believed(told):
    assert observed({"x-ratelimit-limit-requests": told, "x-ratelimit-remaining-requests": "5"}) is None


def test_other_headers_tell_nothing():
    assert observed({"content-type": "application/json"}) is None


def test_more_remains_than_the_limit_is_the_limit():
    assert observed(OPENAI | {"x-ratelimit-remaining-requests": "999"}).requests == Seen(60, 60)


NOW = datetime(2026, 1, 27, 20, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "20", "retry-after-ms": "1250"}, 1.25),
        ({"retry-after": "20", "retry-after-ms": "soon"}, 20),
        ({"retry-after": "Tue, 27 Jan 2026 20:00:30 GMT"}, 30),
        ({"retry-after": "Tue, 27 Jan 2026 19:00:00 GMT"}, 0),
        ({"retry-after": "in a while"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_when_to_ask_again(headers, seconds):
    assert retry_after_seconds(headers, now=NOW) == seconds


@given(st.dictionaries(st.sampled_from([*OPENAI, *ANTHROPIC, "retry-after", "retry-after-ms"]), st.text()))
def test_no_header_fails_a_request_that_worked(headers):
    seen = observed(headers)
    assert seen is None or all(number >= -1 for number in seen.numbers)
    seconds = retry_after_seconds(headers)
    assert seconds is None or seconds >= 0
