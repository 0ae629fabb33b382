"""The providers' own limits over HTTP: refused with a wait that is true, told in headers, counted for whoever judges."""

from __future__ import annotations

import re
import uuid

import anthropic
import openai
import pytest

from tests.testbed.providers.ground import ASKED, WORKSPACE, Twins

pytestmark = pytest.mark.without_search

MODEL = "claude-haiku-5-5"


def _limits(twins: Twins, mode: str, **dimensions) -> None:
    limits = [
        {"account": "openai-main", "model": "gpt-4o-mini-2024-07-18", **dimensions},
        {"account": "anthropic-main", "model": MODEL, **dimensions},
    ]
    twins.admin("PUT", "/limits", {"mode": mode, "limits": limits})


def test_openai_refuses_what_is_above_and_tells_when_to_come_back(twins: Twins) -> None:
    _limits(twins, "enforce", requests=3, tokens=10**6)
    create = twins.openai().chat.completions.with_raw_response.create
    left = [create(model="gpt-4o-mini", messages=ASKED).headers["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    with pytest.raises(openai.RateLimitError) as refused:
        create(model="gpt-4o-mini", messages=ASKED)
    headers = refused.value.response.headers
    assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "requests")
    assert re.search(r"Limit 3, Used 3, Requested 1\. Please try again in \d+", refused.value.message)
    assert 30_000 < int(headers["retry-after-ms"]) <= 60_000
    assert int(headers["retry-after"]) <= 60
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-limit-tokens"]) == ("3", "1000000")
    assert re.fullmatch(r"(1m0|\d+(\.\d+)?)s", headers["x-ratelimit-reset-requests"])


def test_anthropic_refuses_what_is_above_and_tells_when_to_come_back(twins: Twins) -> None:
    _limits(twins, "enforce", requests=1000, input_tokens=40_000, output_tokens=10_000)
    create = twins.anthropic().messages.with_raw_response.create
    long = [{"role": "user", "content": "x" * 120_000}]
    headers = create(model=MODEL, max_tokens=9, messages=long).headers
    # Rounded to the nearest thousand, as documented.
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "10000"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "10000"
    assert headers["anthropic-ratelimit-requests-remaining"] == "999"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", headers["anthropic-ratelimit-output-tokens-reset"])
    with pytest.raises(anthropic.RateLimitError) as refused:
        create(model=MODEL, max_tokens=9, messages=long)
    assert "rate limit of 40,000 input tokens per minute" in str(refused.value)
    assert 30 < int(refused.value.response.headers["retry-after"]) <= 60


def test_what_never_fits_is_refused_without_a_wait(twins: Twins) -> None:
    _limits(twins, "enforce", tokens=100, input_tokens=100)
    long = [{"role": "user", "content": "x" * 4000}]
    with pytest.raises(openai.RateLimitError, match="Request too large") as refused:
        twins.openai().chat.completions.create(model="gpt-4o-mini", messages=long)
    assert "retry-after" not in refused.value.response.headers


def test_what_was_reserved_is_given_back_before_the_caller_hears_the_usage(twins: Twins) -> None:
    # One reservation of 1,000 fits beside what the others really used, and two never do.
    _limits(twins, "enforce", tokens=1900)
    asked = {"model": "gpt-4o-mini", "messages": ASKED, "max_completion_tokens": 1000}
    streams = []
    for _ in range(6):
        streams.append(
            twins.openai().chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        )
        # Not to the end: whoever settles on the usage may ask again at that moment.
        assert next(chunk.usage for chunk in streams[-1] if chunk.usage).completion_tokens < 100
        assert twins.openai().chat.completions.create(**asked).usage
    for stream in streams:
        stream.close()
    assert twins.admin("GET", "/violations")["violations"] == 0
    with pytest.raises(openai.RateLimitError, match="tokens per min"):
        twins.openai().chat.completions.create(**{**asked, "max_completion_tokens": 1800})


def test_observing_counts_what_enforcing_would_refuse(twins: Twins) -> None:
    _limits(twins, "observe", requests=4)
    named = [str(uuid.uuid4()) for _ in range(6)]
    for each in named:
        headers = {"authorization": f"Bearer {twins.secret('o1')}", "x-client-request-id": each}
        body = {"model": "gpt-4o-mini", "messages": ASKED}
        assert twins.http.post(f"{twins.openai_url}/chat/completions", json=body, headers=headers).status_code == 200
    report = twins.admin("GET", "/violations")
    (row,) = report["data"]
    assert (report["violations"], row["admitted"]) == (2, 6)
    assert [each["client_request_id"] for each in row["listed"]] == named[4:]
    assert row["worst_percent"]["requests"] == 150


def test_configured_limits_are_told_by_both_administrations(twins: Twins) -> None:
    _limits(twins, "off", requests=50, tokens=7000, input_tokens=5000, output_tokens=2000)
    ours = {
        limit.model: limit
        for limit in twins.openai().admin.organization.projects.rate_limits.list_rate_limits("proj_one")
    }["gpt-4o-mini-2024-07-18"]
    assert (ours.max_requests_per_1_minute, ours.max_tokens_per_1_minute) == (50, 7000)
    listed = twins.anthropic(api_key=twins.secret("anthropic-main.admin")).organization.rate_limits.list()
    values = {value.type: value.value for limit in listed if limit.models == [MODEL] for value in limit.limits}
    assert values == {
        "requests_per_minute": 50,
        "input_tokens_per_minute_cache_aware": 5000,
        "output_tokens_per_minute": 2000,
    }


def test_a_workspace_inherits_its_organisations_limits_and_the_first_version_tells_no_ids(twins: Twins) -> None:
    _limits(twins, "off", requests=50)
    limits = twins.anthropic(api_key=twins.secret("anthropic-main.admin")).organization.workspaces.rate_limits
    assert list(limits.list(WORKSPACE)) == []
    # Other tests may have set limits of other models.
    [inherited] = [each for each in limits.list(WORKSPACE, include_inherited=True) if MODEL in (each.models or ())]
    assert (inherited.models, inherited.rate_limit_id, inherited.group.type) == ([MODEL], f"rl_{MODEL}", "model_group")
    assert [(each.value, each.source.type) for each in inherited.limits] == [(50, "organization")]
    headers = {"x-api-key": twins.secret("anthropic-main.admin"), "anthropic-version": "2023-06-01"}
    first = twins.http.get(f"{twins.anthropic_url}/v1/organizations/rate_limits", headers=headers).json()["data"][0]
    assert set(first) == {"type", "group_type", "models", "limits"}


def test_a_provider_in_trouble_is_so_whatever_it_is_asked_and_such_questions_are_no_arrivals(twins: Twins) -> None:
    twins.lay("error", status=503, provider="openai", first=1)
    twins.lay("error", status=529, provider="anthropic")
    for _ in range(3):
        # A rule about some arrivals strikes none of these.
        assert list(twins.openai().models.list())
    with pytest.raises(anthropic.InternalServerError):
        twins.anthropic().models.list()
    assert twins.openai().chat.completions.create(model="gpt-4o-mini", messages=ASKED).choices
    with pytest.raises(openai.InternalServerError):
        twins.openai().chat.completions.create(model="gpt-4o-mini", messages=ASKED)
