"""JSON objects read to the last member, so that nothing is lost on the way without a word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from steward.ai.translation.errors import NotTranslatable

Json: TypeAlias = dict[str, Any]

_HINT = "ask for a model of this API's own provider, or leave it out"


class Fields:
    """One object: members are taken by name, and what is left at the end is refused."""

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, dict):
            raise refused(where or "the body", "is no object")
        self._left: Json = dict(cast("Json", value))
        self._where = where

    def take(self, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """The member, or *default* where it is absent or null."""
        value = self._left.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in {int, float, (int, float)}):
            raise refused(self.path(name), f"is {type(value).__name__}")
        return value

    def need(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """The member, which has to be there."""
        value = self.take(name, kind)
        if value is None:
            raise refused(self.path(name), "is missing")
        return value

    def only(self, name: str, *allowed: object) -> None:
        """Take a member that means nothing there, where it has one of the values that change nothing."""
        if (value := self._left.pop(name, None)) is not None and value not in allowed:
            raise refused(self.path(name), "has no equal there")

    def end(self) -> None:
        """Everything has been taken."""
        if self._left:
            raise refused(self.path(min(self._left)), "has no equal there")

    def path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name


def refused(where: str, why: str) -> NotTranslatable:
    """The error for the member at *where*."""
    return NotTranslatable(f"{where} {why}", hint=_HINT)


def without_absent(members: Json) -> Json:
    """*members* without those that are None."""
    return {name: value for name, value in members.items() if value is not None}


def parts_of(content: object, where: str) -> list[Fields]:
    """A content that is a text or a list of parts, as parts."""
    if isinstance(content, str):
        return [Fields({"type": "text", "text": content}, where)]
    if not isinstance(content, list):
        raise refused(where, "is neither text nor parts")
    return [Fields(part, f"{where}[{number}]") for number, part in enumerate(cast("list[object]", content))]


def text_of(content: object, where: str) -> str:
    """A content of texts alone, joined."""
    return "".join(_text(part) for part in parts_of(content, where))


def _text(part: Fields) -> str:
    if (kind := part.need("type", str)) != "text":
        raise refused(part.path("type"), f"is {kind}, where only text has an equal")
    text: str = part.need("text", str)
    part.take("cache_control", dict)
    part.end()
    return text


def joined(blocks: Iterable[Json]) -> list[Json]:
    """Neighbouring messages of one role as one, which both APIs take for the same."""
    said: list[Json] = []
    for block in blocks:
        if said and said[-1]["role"] == block["role"]:
            said[-1]["content"] = [*said[-1]["content"], *block["content"]]
        else:
            said.append(block)
    return said
