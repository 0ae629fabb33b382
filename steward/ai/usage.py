"""What an attempt used, by the classes that providers price apart; and how each provider words it.

No two classes of input share a token: their sum is the whole input. `reasoning` and `audio_output` lie within `output`,
`audio_input` within the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from steward.ai.errors import AttemptUnusable, UsageUnreadable

_HINT = "settle it as an estimate, or leave it unknown: an unread figure must not count as nothing"
_MOST = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, and uses of the provider's own tools. AttemptUnusable where it contradicts itself."""

    input_uncached: int = 0
    input_cached: int = 0
    """Read from the provider's cache."""
    cache_write: int = 0
    """Of a provider that knows one kind of cache."""
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    web_searches: int = 0
    web_fetches: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= _MOST:
                raise AttemptUnusable(f"{name} is {value}, expected 0 or more", hint="see docs/ai-ledger.md")
        for name, within, whole in (
            ("reasoning", self.reasoning, self.output),
            ("audio_output", self.audio_output, self.output),
            ("audio_input", self.audio_input, self.input),
        ):
            if within > whole:
                raise AttemptUnusable(f"{name} is {within}, of {whole} in all", hint="it lies within the other")

    @property
    def input(self) -> int:
        """All tokens of input, cached or not."""
        return self.input_uncached + self.input_cached + self.cache_write + self.cache_write_5m + self.cache_write_1h


#: The ledger's columns, in their order.
CLASSES: tuple[str, ...] = tuple(field.name for field in fields(Usage))


def openai_usage(usage: Mapping[str, Any] | None) -> Usage:
    """Of `usage` in a chat completion, its last stream chunk, or embeddings. UsageUnreadable where it is missing or strange.

    `prompt_tokens` includes what was read from and written to the cache; `completion_tokens` includes reasoning.
    https://platform.openai.com/docs/api-reference/chat/object
    """
    told = _Told(usage, "OpenAI")
    given, spent = told.below("prompt_tokens_details"), told.below("completion_tokens_details")
    cached, written = given.count("cached_tokens"), given.count("cache_write_tokens")
    return told.made(
        input_uncached=told.count("prompt_tokens", is_needed=True) - cached - written,
        input_cached=cached,
        cache_write=written,
        output=told.count("completion_tokens"),
        reasoning=spent.count("reasoning_tokens"),
        audio_input=given.count("audio_tokens"),
        audio_output=spent.count("audio_tokens"),
    )


def anthropic_usage(usage: Mapping[str, Any] | None) -> Usage:
    """Of `usage` in a message, or of a stream's `message_start` overlaid by its last `message_delta`. UsageUnreadable.

    `input_tokens` are those that the cache had no part in. Written tokens without their times to live are counted as
    `cache_write_5m`, the provider's default. https://docs.claude.com/en/api/messages
    """
    told = _Told(usage, "Anthropic")
    kinds, tools = told.below("cache_creation"), told.below("server_tool_use")
    hour = kinds.count("ephemeral_1h_input_tokens")
    written = told.count("cache_creation_input_tokens")
    return told.made(
        input_uncached=told.count("input_tokens", is_needed=True),
        input_cached=told.count("cache_read_input_tokens"),
        # What was written in all stands beside its kinds, and also in a stream's last event, which does not name them.
        cache_write_5m=max(written - hour, kinds.count("ephemeral_5m_input_tokens")),
        cache_write_1h=hour,
        output=told.count("output_tokens", is_needed=True),
        reasoning=told.below("output_tokens_details").count("thinking_tokens"),
        web_searches=tools.count("web_search_requests"),
        web_fetches=tools.count("web_fetch_requests"),
    )


class _Told:
    """What a provider said, read member by member."""

    def __init__(self, told: object, whose: str) -> None:
        if not isinstance(told, Mapping):
            raise UsageUnreadable(f"{whose} told no usage, saw {type(told).__name__}", hint=_HINT)
        self._told, self._whose = cast("Mapping[str, Any]", told), whose

    def count(self, name: str, *, is_needed: bool = False) -> int:
        value = self._told.get(name)
        if value is None and not is_needed:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            # The value is not echoed: where a number belongs anything may stand.
            raise UsageUnreadable(f"{self._whose}'s usage has {name} of {type(value).__name__}, no count", hint=_HINT)
        return value

    def below(self, name: str) -> _Told:
        return _Told(self._told.get(name) or {}, self._whose)

    def made(self, **counts: int) -> Usage:
        try:
            return Usage(**counts)
        except AttemptUnusable as error:
            raise UsageUnreadable(f"{self._whose}'s usage contradicts itself: {error.message}", hint=_HINT) from None
