"""The official SDK of Anthropic works against the twin, in every way of calling it."""

from __future__ import annotations

import asyncio

import anthropic
import httpx
import pytest

from tests.testbed.providers.ground import ASKED, VERSION, WORKSPACE, Twins

pytestmark = pytest.mark.without_search

MODEL = "claude-sonnet-5-5"
TOOL = {
    "name": "tide",
    "input_schema": {"type": "object", "properties": {"harbour": {"type": "string"}}, "required": ["harbour"]},
}


def test_sync_async_and_streams_give_one_message(twins: Twins) -> None:
    asked = {"model": MODEL, "max_tokens": 500, "messages": ASKED}
    whole = twins.anthropic().messages.create(**asked)
    with twins.anthropic().messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    awaited, flowed = asyncio.run(_async(twins, asked))
    assert whole.content[0].text == streamed.content[0].text == awaited.content[0].text == flowed.content[0].text
    assert whole.usage.output_tokens == streamed.usage.output_tokens == len(whole.content[0].text.split())
    assert streamed.usage.input_tokens == whole.usage.input_tokens > 0
    assert (whole.stop_reason, whole.usage.service_tier, whole.model) == ("end_turn", "standard", MODEL)


async def _async(twins: Twins, asked):
    async with anthropic.AsyncAnthropic(
        api_key=twins.secret("a1"), base_url=twins.anthropic_url, max_retries=0
    ) as client:
        whole = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            return whole, await stream.get_final_message()


def test_a_stream_has_the_documented_order_of_events(twins: Twins) -> None:
    lines = _raw(twins, {"model": MODEL, "max_tokens": 2, "messages": ASKED, "stream": True}).text.splitlines()
    assert [line.removeprefix("event: ") for line in lines if line.startswith("event: ")] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_as_its_schema_says_and_not_again_after_its_result(twins: Twins, stream) -> None:
    asked = {"model": MODEL, "max_tokens": 500, "messages": ASKED, "tools": [TOOL]}
    if stream:
        with twins.anthropic().messages.stream(**asked) as events:
            called = events.get_final_message()
    else:
        called = twins.anthropic().messages.create(**asked)
    use = called.content[0]
    assert (called.stop_reason, use.type, use.name) == ("tool_use", "tool_use", "tide")
    assert isinstance(use.input["harbour"], str)
    told = [
        *ASKED,
        {"role": "assistant", "content": [use.to_dict()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "10:40"}]},
    ]
    after = twins.anthropic().messages.create(model=MODEL, max_tokens=500, messages=told, tools=[TOOL])
    assert after.content[0].type == "text"


def test_prompts_are_written_to_the_cache_and_read_from_it_by_breakpoint(twins: Twins) -> None:
    def asked(ttl: str):
        system = [{"type": "text", "text": "x" * 8000 + ttl, "cache_control": {"type": "ephemeral", "ttl": ttl}}]
        return twins.anthropic().messages.create(model=MODEL, max_tokens=5, messages=ASKED, system=system).usage

    for ttl, other in (("5m", "1h"), ("1h", "5m")):
        first, second = asked(ttl), asked(ttl)
        written = first.cache_creation
        assert getattr(written, f"ephemeral_{ttl}_input_tokens") == first.cache_creation_input_tokens > 2000
        assert getattr(written, f"ephemeral_{other}_input_tokens") == 0
        assert (second.cache_read_input_tokens, second.cache_creation_input_tokens) == (
            first.cache_creation_input_tokens,
            0,
        )
        assert first.input_tokens == second.input_tokens


def test_a_breakpoint_for_the_whole_request_stands_behind_its_last_block(twins: Twins) -> None:
    asked = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "y" * 8000}]}
    control = {"type": "ephemeral", "ttl": "1h"}
    first, second = (twins.anthropic().messages.create(**asked, cache_control=control).usage for _ in range(2))
    assert (first.input_tokens, first.cache_creation.ephemeral_1h_input_tokens) == (0, second.cache_read_input_tokens)


def test_models_are_listed_in_pages(twins: Twins) -> None:
    pages = list(twins.anthropic().models.list(limit=2).iter_pages())
    listed = [model.id for page in pages for model in page.data]
    assert len(pages) == 2
    assert listed == [model.id for model in twins.anthropic().models.list()]
    assert twins.anthropic().models.retrieve("claude-haiku-4-5").id == "claude-haiku-4-5-20251001"


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        ({"max_tokens": 5, "messages": ASKED}, 400, "invalid_request_error", "model: Field required"),
        ({"model": MODEL, "messages": ASKED}, 400, "invalid_request_error", "max_tokens: Field required"),
        ({"model": MODEL, "max_tokens": 5}, 400, "invalid_request_error", "messages: Field required"),
        ({"model": MODEL, "max_tokens": 5, "messages": []}, 400, "invalid_request_error", "at least one message"),
        (
            {"model": MODEL, "max_tokens": 10**9, "messages": ASKED},
            400,
            "invalid_request_error",
            "maximum allowed number",
        ),
        ({"model": "claude-0", "max_tokens": 5, "messages": ASKED}, 404, "not_found_error", "model: claude-0"),
        (
            {"model": MODEL, "max_tokens": 5, "messages": ASKED, "temperature": 1.0},
            400,
            "invalid_request_error",
            "Extra inputs",
        ),
    ],
)
def test_unfit_requests_are_refused_in_the_apis_own_shape(twins: Twins, body, status, kind, words) -> None:
    answer = _raw(twins, body)
    told = answer.json()
    assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert words in told["error"]["message"]
    assert told["request_id"] == answer.headers["request-id"]


def test_the_older_version_still_takes_a_temperature(twins: Twins) -> None:
    body = {"model": MODEL, "max_tokens": 5, "messages": ASKED, "temperature": 0.5}
    assert _raw(twins, body, **{"anthropic-version": "2023-06-01"}).status_code == 200


def test_keys_and_versions_that_do_not_fit_are_refused(twins: Twins) -> None:
    with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
        twins.anthropic(api_key="nobody").messages.create(model=MODEL, max_tokens=5, messages=ASKED)
    with pytest.raises(anthropic.PermissionDeniedError):
        twins.anthropic(api_key=twins.secret("anthropic-main.admin")).messages.create(
            model=MODEL, max_tokens=5, messages=ASKED
        )
    body = {"model": MODEL, "max_tokens": 5, "messages": ASKED}
    assert "x-api-key header is required" in _raw(twins, body, **{"x-api-key": ""}).text
    assert "not a valid version" in _raw(twins, body, **{"anthropic-version": "2000-01-01"}).text


def test_answers_name_request_organisation_and_workspace(twins: Twins) -> None:
    raw = twins.anthropic().messages.with_raw_response.create(model=MODEL, max_tokens=5, messages=ASKED)
    assert raw.headers["anthropic-organization-id"] == "org-anthropic"
    assert raw.headers["anthropic-workspace-id"] == WORKSPACE
    assert raw.parse()._request_id == raw.headers["request-id"]


def _raw(twins: Twins, body, **headers) -> httpx.Response:
    return twins.http.post(
        f"{twins.anthropic_url}/v1/messages",
        json=body,
        headers={"x-api-key": twins.secret("a1"), **VERSION, **headers},
    )
