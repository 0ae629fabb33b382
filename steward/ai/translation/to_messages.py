"""An OpenAI chat request as Anthropic's Messages API has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from steward.ai.translation.fields import Fields, Json, joined, parts_of, refused, text_of, without_absent

#: https://platform.openai.com/docs/api-reference/chat/create
_SAMPLING = {"temperature": (int, float), "top_p": (int, float), "stream": bool}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_IMAGE = re.compile(r"data:(image/(?:jpeg|png|gif|webp));base64,([A-Za-z0-9+/=]+)")


def messages_request(chat: Json, model: str, default_max_tokens: int) -> Json:
    """*chat* for *model*. Raises NotTranslatable.

    Anthropic demands `max_tokens`: *default_max_tokens* where the caller named none. Temperatures above 1 do not exist there.
    """
    fields = Fields(chat)
    fields.need("model", str)
    messages = [Fields(each, f"messages[{n}]") for n, each in enumerate(fields.need("messages", list))]
    system, said = _messages(messages)
    asked: Json = {
        "model": model,
        "max_tokens": _most_tokens(fields, default_max_tokens),
        "system": system or None,
        "messages": said,
        "stop_sequences": _stops(fields),
        "tools": _tools(fields),
        "metadata": _user(fields),
        **{name: fields.take(name, kind) for name, kind in _SAMPLING.items()},
    }
    if (asked["temperature"] or 0) > 1:
        raise refused("temperature", "is above 1, the most there is there")
    asked["tool_choice"] = _tool_choice(fields) if asked["tools"] else fields.only("tool_choice", "none", "auto")
    _change_nothing(fields)
    fields.end()
    return without_absent(asked)


def _change_nothing(fields: Fields) -> None:
    """Members that may be there with the value that they have without being there."""
    fields.take("stream_options", dict)
    for name, *values in (
        ("n", 1),
        ("logprobs", False),
        ("store", False),
        ("frequency_penalty", 0),
        ("presence_penalty", 0),
        ("response_format", {"type": "text"}),
        ("modalities", ["text"]),
        ("service_tier", "auto", "default"),
        ("logit_bias", {}),
    ):
        fields.only(str(name), *values)
    # For the provider's own books; the ledger has the caller's.
    for name in ("metadata", "prompt_cache_key", "safety_identifier"):
        fields.take(name, (dict, str))


def _most_tokens(fields: Fields, default: int) -> int:
    newer, older = fields.take("max_completion_tokens", int), fields.take("max_tokens", int)
    return int(newer or older or default)


def _stops(fields: Fields) -> list[str] | None:
    stop = fields.take("stop", (str, list))
    return [stop] if isinstance(stop, str) else stop


def _user(fields: Fields) -> Json | None:
    user = fields.take("user", str)
    return {"user_id": user} if user else None


def _messages(messages: list[Fields]) -> tuple[str, list[Json]]:
    system: list[str] = []
    said: list[Json] = []
    for message in messages:
        role = message.need("role", str)
        if role in {"system", "developer"}:
            if said:
                raise refused(message.path("role"), f"is {role} amid the conversation")
            system.append(text_of(message.need("content", (str, list)), message.path("content")))
        elif role in _ROLES:
            said.append(_ROLES[role](message))
        else:
            raise refused(message.path("role"), "is none that has an equal there")
        message.only("name")
        message.end()
    return "\n\n".join(system), joined(said)


def _user_said(message: Fields) -> Json:
    where = message.path("content")
    return {"role": "user", "content": [_part(part) for part in parts_of(message.need("content", (str, list)), where)]}


def _part(part: Fields) -> Json:
    kind = part.need("type", str)
    if kind == "text":
        block: Json = {"type": "text", "text": part.need("text", str)}
    elif kind == "image_url":
        image = Fields(part.need("image_url", dict), part.path("image_url"))
        block = {"type": "image", "source": _image(image)}
        image.only("detail", "auto")
        image.end()
    else:
        raise refused(part.path("type"), f"is {kind}, which has no equal there")
    part.end()
    return block


def _image(image: Fields) -> Json:
    url = image.need("url", str)
    if found := _IMAGE.fullmatch(url):
        return {"type": "base64", "media_type": found[1], "data": found[2]}
    if not url.startswith("https://"):
        raise refused(image.path("url"), "is neither https nor an image in base64")
    return {"type": "url", "url": url}


def _assistant_said(message: Fields) -> Json:
    content = message.take("content", (str, list))
    blocks: list[Json] = []
    if content and (text := text_of(content, message.path("content"))):
        blocks.append({"type": "text", "text": text})
    blocks += _calls(message)
    for name in ("refusal", "audio", "function_call", "annotations"):
        message.only(name, [])
    return {"role": "assistant", "content": blocks}


def _calls(message: Fields) -> Iterator[Json]:
    for number, each in enumerate(message.take("tool_calls", list, [])):
        call = Fields(each, f"{message.path('tool_calls')}[{number}]")
        call.only("type", "function")
        call.only("index", number)
        function = Fields(call.need("function", dict), call.path("function"))
        yield {
            "type": "tool_use",
            "id": call.need("id", str),
            "name": function.need("name", str),
            "input": _arguments(function),
        }
        function.end()
        call.end()


def _arguments(function: Fields) -> Json:
    try:
        told = json.loads(function.need("arguments", str) or "{}")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise refused(function.path("arguments"), "is no JSON object")
    return told


def _tool_said(message: Fields) -> Json:
    result = {
        "type": "tool_result",
        "tool_use_id": message.need("tool_call_id", str),
        "content": text_of(message.need("content", (str, list)), message.path("content")),
    }
    return {"role": "user", "content": [result]}


_ROLES = {"user": _user_said, "assistant": _assistant_said, "tool": _tool_said}


def _tools(fields: Fields) -> list[Json] | None:
    tools = [Fields(each, f"tools[{n}]") for n, each in enumerate(fields.take("tools", list, []))]
    return [_tool(tool) for tool in tools] or None


def _tool(tool: Fields) -> Json:
    if (kind := tool.need("type", str)) != "function":
        raise refused(tool.path("type"), f"is {kind}, which has no equal there")
    function = Fields(tool.need("function", dict), tool.path("function"))
    told = {
        "name": function.need("name", str),
        "description": function.take("description", str),
        "input_schema": function.take("parameters", dict, {"type": "object", "properties": {}}),
        "strict": function.take("strict", bool),
    }
    function.end()
    tool.end()
    return without_absent(told)


def _tool_choice(fields: Fields) -> Json | None:
    choice: Any = fields.take("tool_choice", (str, dict))
    one_at_a_time = fields.take("parallel_tool_calls", bool, default=True) is False
    told: Json | None = None
    if isinstance(choice, dict):
        named = Fields(choice, "tool_choice")
        named.only("type", "function")
        function = Fields(named.need("function", dict), "tool_choice.function")
        told = {"type": "tool", "name": function.need("name", str)}
        named.end()
    elif choice is not None:
        if choice not in _CHOICES:
            raise refused("tool_choice", "is none that has an equal there")
        told = {"type": _CHOICES[choice]}
    if one_at_a_time and (told is None or told["type"] != "none"):
        told = {**(told or {"type": "auto"}), "disable_parallel_tool_use": True}
    return told
