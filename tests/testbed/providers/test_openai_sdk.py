"""The official SDK of OpenAI works against the twin, in every way of calling it."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest

from tests.testbed.providers.ground import ASKED, PROJECT, Twins

pytestmark = pytest.mark.without_search

TOOL = {
    "type": "function",
    "function": {
        "name": "tide",
        "parameters": {
            "type": "object",
            "properties": {
                "harbour": {"type": "string"},
                "day": {"type": "integer"},
                "side": {"enum": ["ebb", "flood"]},
            },
            "required": ["harbour", "day", "side"],
        },
    },
}


def test_sync_async_and_streams_give_one_completion(twins: Twins) -> None:
    asked = {"model": "gpt-4o-mini", "messages": ASKED}
    whole = twins.openai().chat.completions.create(**asked)
    chunks = list(twins.openai().chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    awaited, streamed = asyncio.run(_async(twins, asked))
    text = whole.choices[0].message.content
    assert text
    assert awaited.choices[0].message.content == streamed == text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert chunks[-1].usage == whole.usage
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.usage.completion_tokens == len(text.split())
    assert (whole.model, whole.service_tier) == ("gpt-4o-mini-2024-07-18", "default")


async def _async(twins: Twins, asked):
    async with openai.AsyncOpenAI(api_key=twins.secret("o1"), base_url=twins.openai_url, max_retries=0) as client:
        whole = await client.chat.completions.create(**asked)
        async with client.chat.completions.stream(**asked) as stream:
            final = await stream.get_final_completion()
        return whole, final.choices[0].message.content


def test_a_stream_tells_usage_only_where_asked(twins: Twins) -> None:
    chunks = list(twins.openai().chat.completions.create(model="gpt-4o-mini", messages=ASKED, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any(chunk.usage for chunk in chunks)


def test_reasoning_is_within_output_and_a_tight_limit_ends_it(twins: Twins) -> None:
    whole = twins.openai().chat.completions.create(model="gpt-6-luna", messages=ASKED)
    assert 0 < whole.usage.completion_tokens_details.reasoning_tokens < whole.usage.completion_tokens
    short = twins.openai().chat.completions.create(model="gpt-6-luna", messages=ASKED, max_completion_tokens=3)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 3)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_as_its_schema_says_and_not_again_after_its_result(twins: Twins, stream) -> None:
    asked = {"model": "gpt-4.1", "messages": ASKED, "tools": [TOOL]}
    if stream:
        with twins.openai().chat.completions.stream(**asked) as events:
            called = events.get_final_completion().choices[0]
    else:
        called = twins.openai().chat.completions.create(**asked).choices[0]
    (call,) = called.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert (called.finish_reason, call.function.name) == ("tool_calls", "tide")
    assert (type(arguments["harbour"]), type(arguments["day"])) == (str, int)
    assert arguments["side"] in {"ebb", "flood"}
    told = [
        *ASKED,
        {"role": "assistant", "tool_calls": [call.to_dict()]},
        {"role": "tool", "tool_call_id": call.id, "content": "10:40"},
    ]
    after = twins.openai().chat.completions.create(model="gpt-4.1", messages=told, tools=[TOOL])
    assert after.choices[0].message.content


def test_embeddings_are_the_same_in_both_encodings(twins: Twins) -> None:
    asked = {"model": "text-embedding-3-small", "input": ["sea", "land"], "dimensions": 64}
    packed = twins.openai().embeddings.create(**asked)
    plain = twins.openai().embeddings.create(**asked, encoding_format="float")
    assert [len(each.embedding) for each in packed.data] == [64, 64]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == 2


def test_models_are_listed_with_their_aliases(twins: Twins) -> None:
    listed = {model.id for model in twins.openai().models.list()}
    assert {"gpt-6.1-sol", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "text-embedding-3-large"} <= listed
    assert twins.openai().models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("body", "error", "code", "param"),
    [
        ({"messages": ASKED}, openai.BadRequestError, None, None),
        ({"model": "gpt-0", "messages": ASKED}, openai.NotFoundError, "model_not_found", None),
        ({"model": "gpt-4.1"}, openai.BadRequestError, "missing_required_parameter", "messages"),
        ({"model": "gpt-4.1", "messages": "hi"}, openai.BadRequestError, "invalid_type", "messages"),
        ({"model": "gpt-4.1", "messages": [7]}, openai.BadRequestError, "invalid_type", "messages[0]"),
        (
            {"model": "gpt-4.1", "messages": ASKED, "max_tokens": 0},
            openai.BadRequestError,
            "invalid_value",
            "max_tokens",
        ),
        (
            {"model": "gpt-4.1", "messages": ASKED, "service_tier": "x"},
            openai.BadRequestError,
            "invalid_value",
            "service_tier",
        ),
        # Older models are not sold at it.
        (
            {"model": "gpt-4.1", "messages": ASKED, "service_tier": "flex"},
            openai.BadRequestError,
            "invalid_value",
            "service_tier",
        ),
        ({"model": "text-embedding-3-small", "messages": ASKED}, openai.NotFoundError, None, "model"),
    ],
)
def test_unfit_requests_are_refused_in_the_apis_own_shape(twins: Twins, body, error, code, param) -> None:
    with pytest.raises(error) as refused:
        twins.openai().post("/chat/completions", body=body, cast_to=object)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id


def test_what_is_no_json_object_is_refused(twins: Twins) -> None:
    for content in (b"{", b"[]", b"\xff\xfe", b"", b"[" * 100_000):
        answer = twins.http.post(
            f"{twins.openai_url}/chat/completions",
            content=content,
            headers={"authorization": f"Bearer {twins.secret('o1')}"},
        )
        assert answer.status_code == 400
        assert "could not parse the JSON body" in answer.json()["error"]["message"]


def test_keys_that_do_not_fit_are_refused(twins: Twins) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        twins.openai(api_key="sk-nobody").chat.completions.create(model="gpt-4.1", messages=ASKED)
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        twins.openai(api_key=twins.secret("openai-main.admin")).chat.completions.create(model="gpt-4.1", messages=ASKED)
    with pytest.raises(openai.AuthenticationError):
        twins.openai(api_key=twins.secret("a1")).models.list()
    assert twins.http.get(f"{twins.openai_url}/models").status_code == 401


def test_unknown_paths_and_methods_have_the_apis_own_shape(twins: Twins) -> None:
    missing, wrong = twins.http.get(f"{twins.openai_url}/nowhere"), twins.http.delete(f"{twins.openai_url}/models")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"]["message"] == "Invalid URL (GET /v1/nowhere)"
    assert wrong.json()["error"]["type"] == "invalid_request_error"


def test_answers_name_request_organisation_and_project(twins: Twins) -> None:
    raw = twins.openai().chat.completions.with_raw_response.create(model="gpt-4.1", messages=ASKED)
    assert raw.headers["x-request-id"].startswith("req_")
    assert (raw.headers["openai-organization"], raw.headers["openai-project"]) == ("org-openai", PROJECT)
