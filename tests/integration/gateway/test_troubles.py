"""What providers, callers and our own servers do wrong: told in the words of the API that is spoken, and nothing is lost."""

from __future__ import annotations

import time
import uuid
from collections import Counter

import anthropic
import openai
import pytest

from services.gateway import admission
from services.gateway import asked as asked_module
from tests.integration.gateway.ground import FEW, MANY

pytestmark = pytest.mark.without_search

ASKED = [{"role": "user", "content": "Which way is the sea?"}]
CHAT = {"messages": ASKED, "max_tokens": 50}


def endings(gateway):
    return [(attempt["provider"], attempt["ending"], attempt["ordinal"]) for attempt in gateway.attempts()]


# Providers


FAILING = [
    ({"kind": "error", "status": 500}, "refused"),
    ({"kind": "error", "status": 503}, "refused"),
    ({"kind": "error", "status": 429, "retry_after_seconds": 1}, "refused"),
    ({"kind": "dark"}, "cut"),
]


@pytest.mark.parametrize(
    ("rule", "ending", "stream"),
    [
        *((*failing, stream) for failing in FAILING for stream in (False, True)),
        ({"kind": "cut", "after": 0.0}, "cut", True),
    ],
)
def test_whoever_fails_before_the_first_token_is_replaced_by_another(gateway, twins, rule, ending, stream):
    twins.lay(**rule, provider="openai")
    answer = gateway.openai().chat.completions.create(model="chat", stream=stream, **CHAT)
    text = (
        "".join(piece.choices[0].delta.content or "" for piece in answer if piece.choices)
        if stream
        else answer.choices[0].message.content
    )
    assert text
    assert endings(gateway) == [("openai", ending, 1), ("anthropic", "completed", 2)]
    assert len({attempt["request"] for attempt in gateway.attempts()}) == 1


@pytest.mark.parametrize("kind", ["cut", "stream_error", "truncate"])
@pytest.mark.parametrize("alias", ["gpt", "claude"])
def test_a_stream_that_breaks_after_its_first_token_ends_with_an_error_and_is_entered_as_an_estimate(
    gateway, twins, kind, alias
):
    twins.lay(kind, **({"after": 0.6} if kind != "truncate" else {}))
    with pytest.raises(openai.APIError, match="broke off"):
        list(gateway.openai().chat.completions.create(model=alias, stream=True, **CHAT))
    (attempt,) = gateway.attempts()
    assert (attempt["state"], attempt["is_estimate"]) == ("settled", True)
    (truth,) = gateway.truths()
    assert attempt["output_low"] <= truth["output"] <= attempt["output_high"]


def test_a_broken_stream_is_told_to_anthropics_client_in_its_own_words(gateway, twins):
    twins.lay("cut", after=0.6)
    with (
        pytest.raises(anthropic.APIError, match="broke off"),
        gateway.anthropic().messages.stream(model="claude", **CHAT) as stream,
    ):
        stream.get_final_message()


def test_where_nobody_answers_the_caller_is_told_so(gateway, twins):
    twins.lay("error", status=500)
    with pytest.raises(openai.InternalServerError, match="no provider answered, in 2 attempts") as raised:
        gateway.openai().chat.completions.create(model="chat", **CHAT)
    assert raised.value.status_code == 502
    with pytest.raises(anthropic.APIStatusError, match="no provider answered"):
        gateway.anthropic().messages.create(model="claude", **CHAT)


def test_where_every_provider_is_at_its_limit_the_caller_is_told_when_to_come_back(gateway, twins):
    twins.lay("error", status=429, retry_after_seconds=2)
    with pytest.raises(openai.RateLimitError) as raised:
        gateway.openai().chat.completions.create(model="chat", **CHAT)
    assert 1 <= float(raised.value.response.headers["retry-after"]) <= 2
    assert [ending for _, ending, _ in endings(gateway)] == ["refused", "refused"]


def test_what_the_caller_did_wrong_is_told_by_the_provider_and_asked_nowhere_else(gateway):
    with pytest.raises(openai.BadRequestError):
        gateway.openai().chat.completions.create(model="gpt", messages=[])
    assert endings(gateway) == [("openai", "refused", 1)]


def test_the_served_tier_is_entered_as_it_was_served(gateway, twins):
    twins.lay("tier", served="priority")
    gateway.openai().chat.completions.create(model="gpt", **CHAT)
    assert gateway.attempts()[0]["tier_served"] == "priority"


# Callers


def test_a_caller_that_leaves_is_read_on_for_so_that_its_cost_is_known(gateway, twins):
    twins.lay("pace", milliseconds=20)
    stream = gateway.openai().chat.completions.create(model="gpt", stream=True, **CHAT)
    next(iter(stream))
    stream.close()
    (attempt,) = gateway.attempts()
    (truth,) = gateway.truths()
    assert (attempt["ending"], attempt["is_estimate"], attempt["output"]) == (
        "completed",
        False,
        truth["output"],
    )


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[]", 400, "no JSON object"),
        (b"{}", 400, "model is missing"),
        (b'{"model": "gpt", "stream": "yes"}', 400, "stream is no bool"),
        (b'{"model": "gpt", "max_tokens": 0}', 400, "is below 1"),
        (b'{"model": "nobody", "max_tokens": 1}', 404, "no such model"),
    ],
)
def test_bad_bodies_are_refused_in_the_shape_of_the_api_and_nothing_is_sent(gateway, twins, body, status, said):
    answer = gateway.post("/v1/chat/completions", content=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    answer = gateway.post("/v1/messages", content=body)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert (gateway.attempts(), gateway.truths()) == ([], [])


def test_a_body_that_is_too_large_is_refused_before_it_is_read(gateway, monkeypatch):
    monkeypatch.setattr("services.gateway.application.MOST_BYTES", 1000)
    assert asked_module.MOST_BYTES > 1000
    answer = gateway.post("/v1/messages", content=b"x" * 2000)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")

    def chunks():
        yield from [b"x" * 600] * 2

    assert gateway.post("/v1/chat/completions", content=chunks()).status_code == 413


def test_a_wrong_key_is_refused_by_both_apis(gateway):
    with pytest.raises(openai.AuthenticationError):
        gateway.openai(api_key="sgw-of-nobody").chat.completions.create(model="gpt", **CHAT)
    with pytest.raises(anthropic.AuthenticationError):
        gateway.anthropic(api_key="sgw-of-nobody").messages.create(model="claude", **CHAT)


def test_a_key_of_many_tenants_names_one_in_each_request(gateway):
    client = gateway.openai(api_key=MANY)
    with pytest.raises(openai.BadRequestError, match="name one in the header x-steward-tenant"):
        client.chat.completions.create(model="gpt", **CHAT)
    client.chat.completions.create(model="gpt", extra_headers={"x-steward-tenant": "globex"}, **CHAT)
    assert [attempt["tenant"] for attempt in gateway.attempts()] == ["globex"]


def test_a_request_that_no_route_can_be_asked_is_refused_by_name(gateway):
    with pytest.raises(openai.BadRequestError, match="no route of this model can be asked that: seed has no equal"):
        gateway.openai().chat.completions.create(model="claude", seed=7, **CHAT)
    # With a route of its own API there is one.
    gateway.openai().chat.completions.create(model="chat", seed=7, **CHAT)
    assert [attempt["provider"] for attempt in gateway.attempts()] == ["openai"]


def test_a_key_that_is_taken_out_of_the_file_is_refused_from_then_on(gateway):
    text = gateway.callers.read_text()
    try:
        gateway.callers.write_text("")
        deadline = time.monotonic() + 20
        while gateway.post("/v1/chat/completions", json={"model": "gpt", **CHAT}).status_code != 401:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        gateway.callers.write_text(text)
        while gateway.post("/v1/chat/completions", json={"model": "gpt", **CHAT}).status_code == 401:
            time.sleep(0.1)


# Limits


def test_beyond_the_limit_the_caller_is_told_when_to_come_back(gateway):
    client, granted, began = gateway.anthropic(), 0, time.monotonic()
    while True:
        try:
            client.messages.create(model="small", **CHAT)
        except anthropic.RateLimitError as limited:
            told = limited
            break
        granted += 1
    assert granted >= 1
    assert float(told.response.headers["retry-after"]) >= 1
    for _ in range(3):
        gateway.post("/v1/messages", json={"model": "small", **CHAT})
    # What found no room is on record as not sent; and for a while nothing more is entered only to find none.
    endings_seen = Counter(row["ending"] for row in gateway.attempts())
    assert endings_seen["completed"] == len(gateway.truths()) >= granted
    assert 1 <= endings_seen["not_sent"] <= 1 + (time.monotonic() - began) / admission.TIGHT_SECONDS


def test_each_tenant_may_ask_as_often_as_its_callers_key_lets_it(gateway):
    def ask(tenant):
        # A model that nobody serves: the limit is on what is asked, whatever comes of it.
        headers = {"authorization": f"Bearer {FEW}", "x-steward-tenant": tenant}
        return gateway.post("/v1/chat/completions", json={"model": "nobody's", **CHAT}, headers=headers)

    north, south = f"north-{uuid.uuid4()}", f"south-{uuid.uuid4()}"
    assert [ask(north).status_code for _ in range(3)] == [404, 404, 429]
    assert 1 <= float(ask(north).headers["retry-after"]) <= 61
    assert ask(north).json()["error"]["type"]
    # No tenant feels another.
    assert ask(south).status_code == 404
    assert gateway.attempts() == []


# What is never kept


def test_neither_prompt_nor_answer_is_kept_anywhere(gateway, twins, caplog):
    caplog.set_level("DEBUG")
    sentinel = "zanzibar-4711-sentinel"
    messages = [{"role": "user", "content": sentinel}]
    gateway.openai().chat.completions.create(model="gpt", messages=messages, max_tokens=20, user=sentinel)
    twins.lay("error", status=500)
    with pytest.raises(openai.APIError) as raised:
        gateway.openai().chat.completions.create(model="chat", messages=messages, max_tokens=20)
    with pytest.raises(openai.NotFoundError) as missing:
        gateway.openai().chat.completions.create(model=sentinel, messages=messages)
    assert sentinel not in str(gateway.attempts())
    assert sentinel not in str(raised.value) + str(missing.value)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("steward", "services"))]
    assert not [told for told in ours if sentinel in told]
    metrics = "\n".join(gateway.metrics())
    assert "steward_ai_requests_total" in metrics
    assert sentinel not in metrics
