"""An Anthropic Messages request as OpenAI's chat API has it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from steward.ai.translation.fields import Fields, Json, parts_of, refused, text_of, without_absent

#: https://docs.anthropic.com/en/api/messages
_SAMPLING = {"temperature": (int, float), "top_p": (int, float), "stream": bool}
_CHOICES = {"auto": "auto", "none": "none", "any": "required"}


def chat_request(messages: Json, model: str) -> Json:
    """*messages* for *model*. Raises NotTranslatable. A stream is asked to tell its usage.

    Marks of what to cache are left out: there it is cached without being asked for, and the answer is the same.
    """
    fields = Fields(messages)
    fields.need("model", str)
    asked: Json = {
        "model": model,
        "max_completion_tokens": fields.need("max_tokens", int),
        "messages": [*_system(fields), *_messages(fields)],
        "stop": fields.take("stop_sequences", list),
        "tools": _tools(fields),
        **{name: fields.take(name, kind) for name, kind in _SAMPLING.items()},
    }
    asked |= _choice(fields) if asked["tools"] else {}
    if asked["stream"]:
        asked["stream_options"] = {"include_usage": True}
    if metadata := fields.take("metadata", dict):
        user = Fields(metadata, "metadata")
        asked["user"] = user.take("user_id", str)
        user.end()
    fields.only("tool_choice", {"type": "auto"}, {"type": "none"})
    fields.only("thinking", {"type": "disabled"})
    fields.only("service_tier", "auto", "standard_only")
    fields.take("cache_control", dict)
    fields.end()
    return without_absent(asked)


def _system(fields: Fields) -> Iterator[Json]:
    if system := fields.take("system", (str, list)):
        yield {"role": "system", "content": text_of(system, "system")}


def _messages(fields: Fields) -> Iterator[Json]:
    for number, each in enumerate(fields.need("messages", list)):
        message = Fields(each, f"messages[{number}]")
        role, content = message.need("role", str), message.need("content", (str, list))
        if role not in {"user", "assistant"}:
            raise refused(message.path("role"), "is none that has an equal there")
        message.end()
        parts = parts_of(content, message.path("content"))
        yield from _user_said(parts) if role == "user" else _assistant_said(parts)


def _user_said(parts: list[Fields]) -> Iterator[Json]:
    """Results of tools are messages of their own there, and come first."""
    content: list[Json] = []
    for part in parts:
        kind = part.need("type", str)
        part.take("cache_control", dict)
        if kind == "tool_result":
            if content:
                raise refused(part.path("type"), "is tool_result behind something else")
            yield _result(part)
        else:
            content.append(_part(part, kind))
        part.end()
    if content:
        texts = all(each["type"] == "text" for each in content)
        yield {"role": "user", "content": content[0]["text"] if texts and len(content) == 1 else content}


def _result(part: Fields) -> Json:
    text = text_of(part.take("content", (str, list), ""), part.path("content"))
    is_error = part.take("is_error", bool, default=False)
    told = {"role": "tool", "tool_call_id": part.need("tool_use_id", str)}
    # There is no word for a tool that failed; whoever reads the result must know it all the same.
    return {**told, "content": f"Error: {text}" if is_error else text}


def _part(part: Fields, kind: str) -> Json:
    if kind == "text":
        return {"type": "text", "text": part.need("text", str)}
    if kind != "image":
        raise refused(part.path("type"), f"is {kind}, which has no equal there")
    source = Fields(part.need("source", dict), part.path("source"))
    form = source.need("type", str)
    if form == "base64":
        url = f"data:{source.need('media_type', str)};base64,{source.need('data', str)}"
    elif form == "url":
        url = source.need("url", str)
    else:
        raise refused(source.path("type"), f"is {form}, which has no equal there")
    source.end()
    return {"type": "image_url", "image_url": {"url": url}}


def _assistant_said(parts: list[Fields]) -> Iterator[Json]:
    text, calls = "", list[Json]()
    for part in parts:
        kind = part.need("type", str)
        part.take("cache_control", dict)
        if kind == "text":
            text += part.need("text", str)
        elif kind == "tool_use":
            function = {"name": part.need("name", str), "arguments": json.dumps(part.need("input", dict))}
            calls.append({"id": part.need("id", str), "type": "function", "function": function})
        else:
            raise refused(part.path("type"), f"is {kind}, which has no equal there")
        part.end()
    yield without_absent({"role": "assistant", "content": text or None, "tool_calls": calls or None})


def _tools(fields: Fields) -> list[Json] | None:
    tools = [Fields(each, f"tools[{n}]") for n, each in enumerate(fields.take("tools", list, []))]
    return [_tool(tool) for tool in tools] or None


def _tool(tool: Fields) -> Json:
    tool.only("type", "custom")
    tool.take("cache_control", dict)
    function = {
        "name": tool.need("name", str),
        "description": tool.take("description", str),
        "parameters": tool.need("input_schema", dict),
        "strict": tool.take("strict", bool),
    }
    tool.end()
    return {"type": "function", "function": without_absent(function)}


def _choice(fields: Fields) -> Json:
    if (told := fields.take("tool_choice", dict)) is None:
        return {}
    choice = Fields(told, "tool_choice")
    kind = choice.need("type", str)
    one_at_a_time = choice.take("disable_parallel_tool_use", bool, default=False)
    asked: Json = {"parallel_tool_calls": False} if one_at_a_time else {}
    if kind == "tool":
        asked["tool_choice"] = {"type": "function", "function": {"name": choice.need("name", str)}}
    elif kind in _CHOICES:
        asked["tool_choice"] = _CHOICES[kind]
    else:
        raise refused("tool_choice.type", "is none that has an equal there")
    choice.end()
    return asked
