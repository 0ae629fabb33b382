"""What a twin does wrong on purpose reaches the official SDKs as the real thing would, and is on record as what it was."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
import uuid

import anthropic
import httpx
import httpx2
import openai
import pytest

from tests.testbed.providers.ground import ASKED, VERSION, Twins

pytestmark = pytest.mark.without_search

MODEL = "claude-sonnet-5-5"
# Both SDKs stand on this; its errors are what a cut connection or a broken stream looks like to them.
CUT = (openai.APIConnectionError, anthropic.APIConnectionError, httpx2.HTTPError)


def _chat(twins: Twins, attempt: str, **more):
    return twins.openai().chat.completions.create(
        **{"model": "gpt-4o-mini", "messages": ASKED, "extra_headers": {"X-Client-Request-Id": attempt}, **more}
    )


def _message(twins: Twins, attempt: str, **more):
    return twins.anthropic().messages.create(
        **{
            "model": MODEL,
            "max_tokens": 500,
            "messages": ASKED,
            "extra_headers": {"X-Client-Request-Id": attempt},
            **more,
        }
    )


CALLS = {"openai": _chat, "anthropic": _message}


@pytest.fixture
def attempt() -> str:
    return str(uuid.uuid4())


@pytest.mark.parametrize(
    ("provider", "status", "error", "kind"),
    [
        ("openai", 500, openai.InternalServerError, "server_error"),
        ("openai", 503, openai.InternalServerError, "server_error"),
        ("openai", 429, openai.RateLimitError, "requests"),
        ("anthropic", 500, anthropic.InternalServerError, "api_error"),
        ("anthropic", 529, anthropic.InternalServerError, "overloaded_error"),
        ("anthropic", 504, anthropic.InternalServerError, "timeout_error"),
        ("anthropic", 413, anthropic.APIStatusError, "request_too_large"),
    ],
)
def test_errors_are_of_the_apis_own_kind_and_cost_nothing(twins: Twins, provider, status, error, kind) -> None:
    attempt = str(uuid.uuid4())
    twins.lay("error", provider=provider, status=status, retry_after_seconds=3)
    with pytest.raises(error) as failed:
        CALLS[provider](twins, attempt)
    assert (failed.value.status_code, failed.value.type) == (status, kind)
    assert failed.value.response.headers["retry-after"] == "3"
    row = twins.attempt(attempt)
    assert (row["status"], row["billed"], row["output"]) == (status, 0, 0)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", ["dark", "hang"])
def test_a_provider_that_says_nothing_drops_the_connection(twins: Twins, attempt, provider, kind) -> None:
    twins.lay(kind, provider=provider, **({"silent_seconds": 0.05, "billed": True} if kind == "hang" else {}))
    with pytest.raises(CUT):
        CALLS[provider](twins, attempt)
    row = twins.attempt(attempt)
    assert (row["outcome"], row["status"], row["billed"]) == ("dropped", 0, int(kind == "hang"))
    assert (row["output"] > 0) == (kind == "hang")


def test_one_provider_may_be_dark_while_the_other_answers(twins: Twins, attempt) -> None:
    twins.lay("dark", provider="openai")
    with pytest.raises(CUT):
        _chat(twins, attempt)
    assert _message(twins, str(uuid.uuid4())).content


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_stream_that_is_cut_bills_what_was_written(twins: Twins, attempt, provider) -> None:
    twins.lay("cut", after=0.5)
    seen = []
    with pytest.raises(CUT):
        seen.extend(CALLS[provider](twins, attempt, stream=True))
    row = twins.attempt(attempt)
    assert (row["outcome"], row["billed"]) == ("cut", 1)
    assert 0 < row["output"] <= len(seen)
    twins.admin("DELETE", "/dials")
    whole = CALLS[provider](twins, str(uuid.uuid4()))
    told = whole.usage.completion_tokens if provider == "openai" else whole.usage.output_tokens
    assert row["output"] < told


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_truncated_stream_ends_without_a_word_and_is_billed_whole(twins: Twins, attempt, provider) -> None:
    twins.lay("truncate")
    more = {"stream_options": {"include_usage": True}} if provider == "openai" else {}
    events = list(CALLS[provider](twins, attempt, stream=True, **more))
    if provider == "openai":
        assert not any(event.usage for event in events)
    else:
        assert {"message_delta", "message_stop"}.isdisjoint({event.type for event in events})
    row = twins.attempt(attempt)
    assert (row["outcome"], row["billed"]) == ("truncated", 1)
    assert row["output"] > 0


@pytest.mark.parametrize(("provider", "error"), [("openai", openai.APIError), ("anthropic", anthropic.APIStatusError)])
def test_an_error_in_the_middle_of_a_stream_is_an_error(twins: Twins, attempt, provider, error) -> None:
    twins.lay("stream_error", after=0.3)
    with pytest.raises(error):
        list(CALLS[provider](twins, attempt, stream=True))
    assert twins.attempt(attempt)["outcome"] == "broken"


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_whoever_leaves_a_stream_pays_for_what_was_written(twins: Twins, attempt, provider) -> None:
    twins.lay("pace", milliseconds=20)
    with CALLS[provider](twins, attempt, stream=True) as stream:
        for _ in zip(range(6), stream, strict=False):
            pass
    row = twins.attempt(attempt)
    assert (row["outcome"], row["billed"]) == ("abandoned", 1)
    assert 0 < row["output"] < 60


def test_a_caller_who_hangs_up_at_any_moment_of_a_stream_is_no_fault_of_the_server(twins: Twins) -> None:
    before = twins.log()
    twins.lay("pace", milliseconds=1)
    body = json.dumps({"model": "claude-haiku-5-5", "max_tokens": 400, "messages": ASKED, "stream": True}).encode()
    headers = {"host": "twin", "content-length": str(len(body)), "x-api-key": twins.secret("a1"), **VERSION}
    request = "POST /v1/messages HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    address = httpx.URL(twins.anthropic_url)
    for number in range(120):
        with socket.create_connection((address.host, address.port)) as caller:
            caller.sendall(request.encode() + b"\r\n" + body)
            assert caller.recv(100).startswith(b"HTTP/1.1 200")
            time.sleep(number % 7 / 1000)
            # Every other one resets the connection.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
    ended = [row["outcome"] for row in twins.attempts() if row["model_asked"] == "claude-haiku-5-5"]
    # On a busy machine one or another was written to its end before its caller came to hang up.
    assert ended.count("abandoned") >= 100
    assert twins.log() == before


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_whoever_gives_up_on_an_answer_in_one_piece_pays_all_of_it(twins: Twins, attempt, provider) -> None:
    twins.lay("first_token", milliseconds=60_000)
    with pytest.raises((openai.APITimeoutError, anthropic.APITimeoutError)):
        CALLS[provider](twins, attempt, timeout=0.3)
    row = twins.attempt(attempt)
    assert (row["outcome"], row["billed"]) == ("abandoned", 1)
    assert row["output"] > 0


@pytest.mark.parametrize(
    ("provider", "asked", "served"), [("openai", "priority", "default"), ("anthropic", "auto", "priority")]
)
def test_another_tier_may_be_served_than_was_asked_for(twins: Twins, attempt, provider, asked, served) -> None:
    twins.lay("tier", served=served)
    answer = CALLS[provider](twins, attempt, service_tier=asked)
    told = answer.service_tier if provider == "openai" else answer.usage.service_tier
    row = twins.attempt(attempt)
    assert (row["tier_asked"], row["tier_served"], told) == (asked, served, served)


def test_time_to_the_first_token_is_a_dial(twins: Twins, attempt) -> None:
    twins.lay("first_token", milliseconds=150)
    before = time.monotonic()
    next(iter(_chat(twins, attempt, stream=True)))
    assert time.monotonic() - before > 0.1


def test_a_rule_strikes_the_same_arrivals_in_every_run(twins: Twins) -> None:
    def run() -> list[str]:
        twins.admin("POST", "/begin-anew")
        twins.admin("PUT", "/limits", {"mode": "off"})
        twins.lay("error", name="flaky", share=0.5, status=500)
        struck = []
        for _ in range(12):
            attempt = str(uuid.uuid4())
            headers = {"authorization": f"Bearer {twins.secret('o1')}", "x-client-request-id": attempt}
            body = {"model": "gpt-4o-mini", "messages": ASKED}
            twins.http.post(f"{twins.openai_url}/chat/completions", json=body, headers=headers)
            struck.append(twins.attempt(attempt)["outcome"])
        return struck

    first = run()
    assert first == run()
    assert set(first) == {"completed", "failed"}


def test_a_rule_keeps_to_its_arrivals_and_its_number(twins: Twins) -> None:
    twins.lay("error", name="third", first=2, times=1)
    outcomes = []
    for _ in range(5):
        attempt = str(uuid.uuid4())
        with contextlib.suppress(openai.InternalServerError):
            _chat(twins, attempt)
        outcomes.append(twins.attempt(attempt)["outcome"])
    assert outcomes == ["completed", "completed", "failed", "completed", "completed"]


@pytest.mark.parametrize("rule", [{"kind": "sunspots"}, {"kind": "error", "colour": "red"}])
def test_a_rule_that_cannot_be_read_is_refused(twins: Twins, rule) -> None:
    headers = {"authorization": f"Bearer {twins.secret('token')}"}
    answer = twins.http.post(f"{twins.admin_url}/dials", json=rule, headers=headers)
    assert answer.status_code == 400
    assert "expected" in answer.text or "takes" in answer.text


def test_oversized_bodies_are_refused(twins: Twins) -> None:
    content = b" " * (33 * 1024 * 1024)
    headers = {"x-api-key": twins.secret("a1"), "anthropic-version": "2026-10-21"}
    answer = twins.http.post(f"{twins.anthropic_url}/v1/messages", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
