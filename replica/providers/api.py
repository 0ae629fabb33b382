"""What tells one provider's inference endpoint from another's: how it reads, answers, streams and words errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from replica.providers.catalogue import Model
from replica.providers.composing import Composed
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.limits import Excess, Level
from replica.providers.prompt_cache import Block, Split


@dataclass(frozen=True, slots=True)
class Request:
    """What a body asks for. `most`: tokens of output at most; `tool`: the name and schema of the one to be called."""

    body: dict[str, Any]
    model: Model
    stream: bool
    most: int | None
    blocks: Sequence[Block]
    tool: tuple[str, Mapping[str, Any]] | None = None
    tier_asked: str = ""
    usage_in_stream: bool = True
    web_searches: int = 0


@dataclass(frozen=True, slots=True)
class Served:
    """An answer ready to be written in a provider's shape."""

    request: Request
    composed: Composed
    split: Split
    tier: str
    request_id: str
    seed: int


@dataclass(frozen=True, slots=True)
class Event:
    """A piece of a stream; `output`: tokens written once it is out; `closing`: what a silently truncated stream lacks."""

    content: bytes
    output: int
    closing: bool = False


class Api(Protocol):
    """One provider's inference endpoint: its shapes, and nothing of what happens."""

    provider: str
    endpoint: str

    def secret(self, exchange: Exchange) -> str:
        """The key that the caller shows; Refusal 401 where there is none."""
        ...

    def read(self, exchange: Exchange, content: bytes) -> Request:
        """Refusal 400 or 404 for what cannot be served."""
        ...

    def tier(self, asked: str) -> str:
        """What is served if nothing goes wrong."""
        ...

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """An error's body."""
        ...

    def throttled(self, account: Account, model: Model, excess: Excess, window_seconds: float) -> Refusal:
        """429."""
        ...

    def headers(
        self, account: Account | None, project: str, request_id: str, levels: Sequence[Level]
    ) -> dict[str, str]:
        """Of every answer."""
        ...

    def answer(self, served: Served) -> dict[str, Any]:
        """In one piece."""
        ...

    def events(self, served: Served) -> list[Event]:
        """As a stream."""
        ...

    def error_event(self, request_id: str) -> bytes:
        """An error after the stream began."""
        ...

    def counted_input(self, split: Split) -> int:
        """What of a prompt the limits count."""
        ...
