"""`POST /v1/messages`: shapes of `anthropic/types`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from replica.providers import composing
from replica.providers.anthropic import errors, headers
from replica.providers.api import Event, Request, Served
from replica.providers.catalogue import Model, find
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, dumps, loads
from replica.providers.fields import Fields
from replica.providers.limits import Excess, Level
from replica.providers.prompt_cache import Block, Split

_FRAME_TOKENS = 3
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}


class Messages:
    """The endpoint."""

    provider = "anthropic"
    endpoint = "messages"

    def secret(self, exchange: Exchange) -> str:
        """`x-api-key`, and the version that goes with it."""
        shown = headers.secret(exchange)
        headers.require_version(exchange)
        return shown

    def read(self, exchange: Exchange, content: bytes) -> Request:
        """Refusal 400 or 404 for what cannot be served."""
        body = read_body(content)
        if exchange.headers.get("anthropic-version") == headers.CURRENT:
            _require_current(body)
        name, most = _required(body, "model", str), _required(body, "max_tokens", int)
        model = find("anthropic", name)
        if model is None:
            raise Refusal(404, f"model: {name[:80]}")
        if not 1 <= most <= model.output_tokens:
            raise errors.invalid(
                f"max_tokens: {most} > {model.output_tokens}, which is the maximum allowed number of output tokens for {model.name}"
                if most > 0
                else "max_tokens: must be greater than or equal to 1"
            )
        fields = Fields(body, errors.invalid_type)
        tools, messages = fields.objects("tools"), fields.objects("messages")
        blocks = list(_blocks(fields, tools, messages))
        answers_a_tool = _has_result(messages[-1])
        return Request(
            body=body,
            model=model,
            stream=fields.flag("stream"),
            most=most,
            blocks=_with_own_breakpoint(fields, blocks),
            tool=_tool(fields, tools, answers_a_tool=answers_a_tool),
            tier_asked=_tier(fields),
            # One search for every request that lets the provider search.
            web_searches=int(any(_searches_web(each) for each in tools) and not answers_a_tool),
        )

    def tier(self, asked: str) -> str:
        """No account here has committed to Priority Tier."""
        del asked
        return "standard"

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """With the id."""
        return errors.body(refusal, request_id)

    def throttled(self, account: Account, model: Model, excess: Excess, window_seconds: float) -> Refusal:
        """429."""
        return errors.throttled(account, model, excess, window_seconds)

    def headers(
        self, account: Account | None, project: str, request_id: str, levels: Sequence[Level]
    ) -> dict[str, str]:
        """Of every answer."""
        return headers.build(account, project, request_id, levels)

    def counted_input(self, split: Split) -> int:
        """What was read from the cache does not count, as documented for these models."""
        return split.total - split.read

    def answer(self, served: Served) -> dict[str, Any]:
        """`message`."""
        composed = served.composed
        stop = {"stop_reason": _STOPS[composed.finish], "stop_sequence": None}
        return {**_envelope(served), "content": [_content(served)], **stop, "usage": _usage(served, composed.output)}

    def events(self, served: Served) -> list[Event]:
        """message_start, a block with one delta a token, message_delta with the usage, message_stop; a ping as of old."""
        composed = served.composed
        start = {
            **_envelope(served),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(served, min(1, composed.output)),
        }
        block = _content(served, empty=True)
        events = [
            _event("message_start", 0, message=start),
            _event("content_block_start", 0, index=0, content_block=block),
            _event("ping", 0),
        ]
        events += [_event("content_block_delta", output, index=0, delta=delta) for delta, output in _deltas(served)]
        events.append(_event("content_block_stop", composed.output, index=0))
        delta = {"stop_reason": _STOPS[composed.finish], "stop_sequence": None}
        total = _delta_usage(served)
        events.append(_event("message_delta", composed.output, closing=True, delta=delta, usage=total))
        events.append(_event("message_stop", composed.output, closing=True))
        return events

    def error_event(self, request_id: str) -> bytes:
        """What would be a 529 had the stream not begun."""
        return b"event: error\ndata: " + dumps(errors.body(Refusal(529, ""), request_id)) + b"\n\n"


def read_body(content: bytes) -> dict[str, Any]:
    """A JSON object, or Refusal 400."""
    try:
        body = loads(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.invalid("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise errors.invalid("Input should be a valid dictionary")
    return body


def _require_current(body: dict[str, Any]) -> None:
    """What the version 2026-10-21 no longer takes."""
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            raise errors.invalid(f"{name}: Extra inputs are not permitted")


def _required(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is None:
        raise errors.invalid(f"{name}: Field required")
    if not isinstance(value, kind) or isinstance(value, bool):
        raise errors.invalid(f"{name}: Input should be a valid {'string' if kind is str else 'integer'}")
    return value


def _blocks(fields: Fields, tools: Iterable[Fields], messages: Sequence[Fields]) -> Iterable[Block]:
    """Tools, then system, then messages: the order in which prefixes are cached."""
    if fields.of.get("messages") is None:
        raise errors.invalid("messages: Field required")
    if not messages:
        raise errors.invalid("messages: at least one message is required")
    yield from (_block("tool", each) for each in tools)
    yield from _contents("system", fields, "system")
    for index, message in enumerate(messages):
        role = message.text("role")
        if role not in {"user", "assistant"}:
            raise errors.invalid(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        if not message.of.get("content"):
            raise errors.invalid(f"messages.{index}: all messages must have non-empty content")
        yield from _contents(role, message, "content")


def _contents(role: str, fields: Fields, name: str) -> Iterable[Block]:
    """A text, or a list of blocks."""
    value = fields.of.get(name)
    if isinstance(value, str):
        yield Block(f"{role}:{value}".encode(), composing.count(value.encode()) + _FRAME_TOKENS)
    else:
        yield from (_block(role, each) for each in fields.objects(name))


def _with_own_breakpoint(fields: Fields, blocks: list[Block]) -> list[Block]:
    """`cache_control` of the whole request stands behind its last block."""
    ttl = _ttl(fields)
    return [*blocks[:-1], dataclasses.replace(blocks[-1], breakpoint=ttl)] if ttl else blocks


def _ttl(fields: Fields) -> str:
    """Of the object's `cache_control`; nothing where it has none."""
    if not fields.of.get("cache_control"):
        return ""
    ttl = fields.mapping("cache_control").text("ttl") or "5m"
    if ttl not in {"5m", "1h"}:
        raise errors.invalid(f"{fields.path}cache_control.ttl: Input should be '5m' or '1h'")
    return ttl


def _block(role: str, fields: Fields) -> Block:
    told = {name: each for name, each in fields.of.items() if name != "cache_control"}
    content = msgspec.json.encode([role, told], order="deterministic")
    text = fields.of.get("text")
    measured = text.encode() if isinstance(text, str) else content
    return Block(content, composing.count(measured) + _FRAME_TOKENS, _ttl(fields))


def _tier(fields: Fields) -> str:
    tier = fields.text("service_tier")
    if tier not in {"", "auto", "standard_only"}:
        raise errors.invalid("service_tier: Input should be 'auto' or 'standard_only'")
    return tier


def _tool(fields: Fields, tools: Iterable[Fields], *, answers_a_tool: bool) -> tuple[str, Mapping[str, Any]] | None:
    """The tool that is called: the one demanded, else the first of the caller's own, unless its result was just given."""
    own = [each for each in tools if "input_schema" in each.of]
    choice = fields.mapping("tool_choice")
    kind = choice.text("type") or "auto"
    if not own or kind == "none" or (kind == "auto" and answers_a_tool):
        return None
    chosen = own[0]
    if kind == "tool":
        named = [each for each in own if each.text("name") == choice.text("name")]
        if not named:
            raise errors.invalid(f"tool_choice.tool: Tool '{choice.text('name')[:80]}' not found in provided tools")
        chosen = named[0]
    return chosen.text("name"), chosen.mapping("input_schema").of


def _has_result(message: Fields) -> bool:
    content = message.of.get("content")
    return isinstance(content, list) and any(
        each.of.get("type") == "tool_result" for each in message.objects("content")
    )


def _searches_web(tool: Fields) -> bool:
    return tool.text("type").startswith("web_search_")


def _envelope(served: Served) -> dict[str, Any]:
    message_id = f"msg_{served.request_id.removeprefix('req_')}"
    return {"id": message_id, "type": "message", "role": "assistant", "model": served.request.model.name}


def _content(served: Served, *, empty: bool = False) -> dict[str, Any]:
    composed = served.composed
    if composed.tool:
        use = f"toolu_{served.request_id.removeprefix('req_')}"
        return {"type": "tool_use", "id": use, "name": composed.tool, "input": {} if empty else composed.arguments}
    return {"type": "text", "text": "" if empty else composed.text}


def _usage(served: Served, output: int) -> dict[str, Any]:
    split = served.split
    return {
        "input_tokens": split.uncached,
        "cache_creation_input_tokens": split.write_5m + split.write_1h,
        "cache_read_input_tokens": split.read,
        "cache_creation": {"ephemeral_5m_input_tokens": split.write_5m, "ephemeral_1h_input_tokens": split.write_1h},
        "output_tokens": output,
        "service_tier": served.tier,
        "inference_geo": "not_available",
        **_searches(served),
    }


def _delta_usage(served: Served) -> dict[str, Any]:
    """Cumulative."""
    split = served.split
    return {
        "input_tokens": split.uncached,
        "cache_creation_input_tokens": split.write_5m + split.write_1h,
        "cache_read_input_tokens": split.read,
        "output_tokens": served.composed.output,
        **_searches(served),
    }


def _searches(served: Served) -> dict[str, Any]:
    searches = served.request.web_searches
    return {"server_tool_use": {"web_search_requests": searches, "web_fetch_requests": 0}} if searches else {}


def _deltas(served: Served) -> list[tuple[dict[str, Any], int]]:
    """(delta, tokens written once it is out)."""
    composed = served.composed
    if composed.tool:
        text = dumps(composed.arguments).decode()
        pieces = [text[: len(text) // 2], text[len(text) // 2 :]]
        outputs = [composed.output // 2, composed.output]
        return [
            ({"type": "input_json_delta", "partial_json": piece}, output)
            for piece, output in zip(pieces, outputs, strict=True)
        ]
    return [
        ({"type": "text_delta", "text": f" {word}" if number else word}, number + 1)
        for number, word in enumerate(composed.words)
    ]


def _event(name: str, output: int, *, closing: bool = False, **fields: Any) -> Event:
    return Event(f"event: {name}\ndata: ".encode() + dumps({"type": name, **fields}) + b"\n\n", output, closing)
