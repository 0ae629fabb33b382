"""The providers' own clients against the gateway, unchanged: whole and streamed, in both APIs and between them."""

from __future__ import annotations

import asyncio

import anthropic
import openai
import pytest

from tests.integration.gateway.ground import KEY

pytestmark = pytest.mark.without_search

ASKED = [{"role": "user", "content": "Which way is the sea?"}]


def test_a_chat_is_answered_and_the_ledger_has_what_the_provider_counted(gateway, twins):
    answer = gateway.openai().chat.completions.create(model="gpt", messages=ASKED, max_tokens=50)
    assert answer.choices[0].message.content
    (attempt,) = gateway.attempts()
    (truth,) = gateway.truths()
    assert attempt["id"] == truth["client_request_id"]
    assert (attempt["state"], attempt["ending"], attempt["output"]) == (
        "settled",
        "completed",
        answer.usage.completion_tokens,
    )
    assert attempt["input_uncached"] + attempt["input_cached"] == answer.usage.prompt_tokens
    assert (attempt["tenant"], attempt["project"], attempt["key_id"], attempt["alias"]) == (
        "acme",
        "support",
        "crm",
        "gpt",
    )
    assert attempt["model_served"] == answer.model
    assert attempt["provider_request_id"] == truth["request_id"]


def test_a_message_is_answered(gateway):
    answer = gateway.anthropic().messages.create(model="claude", messages=ASKED, max_tokens=50)
    assert answer.content[0].text
    (attempt,) = gateway.attempts()
    assert (attempt["provider"], attempt["output"]) == ("anthropic", answer.usage.output_tokens)


@pytest.mark.parametrize("alias", ["gpt", "claude"])
def test_a_streamed_chat_is_the_whole_one_in_pieces(gateway, alias):
    client = gateway.openai()
    whole = client.chat.completions.create(model=alias, messages=ASKED, max_tokens=50)
    pieces = list(
        client.chat.completions.create(
            model=alias, messages=ASKED, max_tokens=50, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content
    assert pieces[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert [attempt["output"] for attempt in gateway.attempts()] == [whole.usage.completion_tokens] * 2


@pytest.mark.parametrize("alias", ["gpt", "claude"])
def test_a_streamed_message_is_the_whole_one_in_pieces(gateway, alias):
    client = gateway.anthropic()
    whole = client.messages.create(model=alias, messages=ASKED, max_tokens=50)
    with client.messages.stream(model=alias, messages=ASKED, max_tokens=50) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert [attempt["is_stream"] for attempt in gateway.attempts()] == [False, True]


def test_usage_is_streamed_to_those_alone_who_ask_for_it_and_entered_all_the_same(gateway):
    pieces = gateway.openai().chat.completions.create(model="gpt", messages=ASKED, max_tokens=50, stream=True)
    assert all(piece.choices for piece in pieces)
    (attempt,) = gateway.attempts()
    assert attempt["output"] > 0


def test_embeddings(gateway):
    answer = gateway.openai().embeddings.create(model="embeddings", input=["the sea", "the shore"])
    assert len(answer.data) == 2
    (attempt,) = gateway.attempts()
    assert (attempt["output"], attempt["input_uncached"]) == (0, answer.usage.prompt_tokens)


def test_coroutines_at_once(gateway, twins):
    async def ask():
        async with (
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as one,
            anthropic.AsyncAnthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as other,
        ):
            chats = [one.chat.completions.create(model="chat", messages=ASKED, max_tokens=20) for _ in range(15)]
            messages = [other.messages.create(model="chat", messages=ASKED, max_tokens=20) for _ in range(15)]
            return await asyncio.gather(*chats, *messages)

    assert len(asyncio.run(ask())) == 30
    # What waits in vain for a connection, on a machine that is busy, is aborted and tried again: nothing of it left.
    sent = {attempt["id"] for attempt in gateway.attempts() if attempt["state"] != "aborted"}
    assert sent == {truth["client_request_id"] for truth in gateway.truths()}
    assert len(sent) == 30


def test_both_list_the_models_there_are(gateway):
    names = ["gpt", "claude", "chat", "embeddings", "prompt", "small"]
    assert [model.id for model in gateway.openai().models.list()] == names
    assert [model.id for model in gateway.anthropic().models.list()] == names
    assert gateway.openai().models.retrieve("chat").id == gateway.anthropic().models.retrieve("chat").id == "chat"
