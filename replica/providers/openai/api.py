"""What OpenAI's inference endpoints have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from replica.providers.catalogue import Model, find
from replica.providers.configuration import Account
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, dumps, loads
from replica.providers.limits import Excess, Level
from replica.providers.openai import errors, headers
from replica.providers.prompt_cache import Split


class OpenAi:
    """Half of an `Api`; endpoints add how to read, answer and stream."""

    provider = "openai"

    def secret(self, exchange: Exchange) -> str:
        """A bearer token."""
        return headers.bearer(exchange)

    def tier(self, asked: str) -> str:
        """`auto` is the project's, which is `default` here."""
        return "default" if asked in {"", "auto"} else asked

    def refusal(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Without the id, which is in a header."""
        del request_id
        return errors.body(refusal)

    def throttled(self, account: Account, model: Model, excess: Excess, window_seconds: float) -> Refusal:
        """429."""
        del window_seconds
        return errors.throttled(account, model, excess)

    def headers(
        self, account: Account | None, project: str, request_id: str, levels: Sequence[Level]
    ) -> dict[str, str]:
        """Of every answer."""
        return headers.build(account, project, request_id, levels)

    def counted_input(self, split: Split) -> int:
        """All of a prompt, cached or not."""
        return split.total

    def error_event(self, request_id: str) -> bytes:
        """As OpenAI sends it within a stream."""
        del request_id
        return line(errors.body(Refusal(500, "")))


def read_body(content: bytes) -> dict[str, Any]:
    """A JSON object, or Refusal 400."""
    try:
        body = loads(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.unparsable() from None
    if not isinstance(body, dict):
        raise errors.unparsable()
    return body


def read_model(body: dict[str, Any]) -> Model:
    """The model asked for, or Refusal."""
    name = body.get("model")
    if not name:
        raise errors.missing("model")
    if not isinstance(name, str):
        raise errors.invalid_type("model", "a string", name)
    model = find("openai", name)
    if model is None:
        raise errors.unknown_model(name)
    return model


def line(value: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + dumps(value) + b"\n\n"
