"""What a rule makes of a payload: trees of values in which `{dotted.path}` stands for what the payload has there.

`{a.b}` is there or the rule does not fit; `{a.b?}` is left out where it is not; `{a.b|c.d}` is the first of both that is there;
`{a.b:12}` is its first twelve characters. `{{` and `}}` are braces. A string that is one such reference keeps the type of what it
finds; within a longer one it is put in as text. What is null counts as not there. Where a path goes on inside a string, that is read as JSON:
GitHub's `deployment.payload` may be an object, or a string of one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias, cast

from pydantic import JsonValue
from pydantic_core import from_json

from steward.errors import BadInput

#: As parameters of a TOML file are: numbers, dates as text, tables and lists.
Tree: TypeAlias = JsonValue

_KEY = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
PATH = rf"{_KEY}(\.{_KEY})*"
_ALTERNATIVE = rf"{PATH}(:[1-9][0-9]{{0,3}})?"
_REFERENCE = re.compile(rf"{_ALTERNATIVE}(\|{_ALTERNATIVE})*\??")
_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
#: By which Prefect takes a parameter for something to work out: a variable, a template. A sender's word must never be one.
_WORKED_OUT = "__prefect_kind"
_TOO_LARGE = 1 << 63


class TemplateUnusable(BadInput):
    """It is no template."""


class RuleDoesNotFit(BadInput):
    """The payload lacks what the rule makes its parameters of, or has something there that may be no parameter."""


class _Absent:
    """What a payload has where it has nothing; null is the same."""


ABSENT = _Absent()


class _Reference(NamedTuple):
    paths: tuple[tuple[str, int | None], ...]
    """Each with how many characters of it are wanted; None: it, as it is."""
    is_optional: bool


def look_up(payload: Mapping[str, JsonValue], path: str) -> JsonValue | _Absent:
    """What *payload* has at *path*; ABSENT where there is none, or null."""
    at: JsonValue = cast("JsonValue", payload)
    for key in path.split("."):
        inside = _parsed(at) if isinstance(at, str) else at
        if not isinstance(inside, dict) or key not in inside:
            return ABSENT
        at = inside[key]
    return ABSENT if at is None else at


def fill(tree: Tree, payload: Mapping[str, JsonValue]) -> Tree | _Absent:
    """*tree* with what *payload* has; ABSENT where it is one optional reference to nothing. Raises RuleDoesNotFit, with the path."""
    match tree:
        case str():
            return _fill_text(tree, payload)
        case dict():
            filled = {key: fill(value, payload) for key, value in tree.items()}
            return {key: value for key, value in filled.items() if not isinstance(value, _Absent)}
        case list():
            return [value for each in tree if not isinstance(value := fill(each, payload), _Absent)]
        case _:
            return tree


def check_template(tree: Tree, at: str = "parameters") -> None:
    """Raises TemplateUnusable, with the place in the tree and what stands there."""
    match tree:
        case str():
            for reference in _references(tree, at):
                _parse(reference, at)
        case dict():
            for key, value in tree.items():
                check_template(value, f"{at}.{key}")
        case list():
            for index, value in enumerate(tree):
                check_template(value, f"{at}.{index}")
        case _:
            return


def _fill_text(text: str, payload: Mapping[str, JsonValue]) -> Tree | _Absent:
    whole = _PIECES.fullmatch(text)
    if whole and whole[1] is not None:
        return _find(_parse(whole[1], text), payload)

    def put_in(piece: re.Match[str]) -> str:
        if piece[1] is None:
            return piece[0][0]
        found = _find(_parse(piece[1], text), payload)
        return "" if isinstance(found, _Absent) else _as_text(found, piece[1])

    return _PIECES.sub(put_in, text)


def _find(reference: _Reference, payload: Mapping[str, JsonValue]) -> Tree | _Absent:
    for path, most in reference.paths:
        found = look_up(payload, path)
        if not isinstance(found, _Absent):
            _refuse_unfit(found, path)
            return found if most is None else _as_text(found, path)[:most]
    if reference.is_optional:
        return ABSENT
    named = " nor ".join(path for path, _ in reference.paths)
    raise RuleDoesNotFit(f"the payload has no {named}", hint="send it, or mend the rule; docs/webhook-rules.md")


def _as_text(found: Tree, path: str) -> str:
    match found:
        case bool():
            return "true" if found else "false"
        case str() | int() | float():
            return str(found)
        case _:
            kind = "an object" if isinstance(found, dict) else "a list"
            raise RuleDoesNotFit(f"{path} is {kind}; expected text or a number", hint="let a path end at a value")


def _refuse_unfit(found: Tree, path: str) -> None:
    """Raises RuleDoesNotFit for what may be no parameter, on a sender's word, or cannot be stored."""
    match found:
        case dict():
            if _WORKED_OUT in found:
                raise RuleDoesNotFit(f"{path} has the key {_WORKED_OUT}, which is Prefect's own", hint="leave it out")
            for key, value in found.items():
                _refuse_unfit(key, path)
                _refuse_unfit(value, path)
        case list():
            for value in found:
                _refuse_unfit(value, path)
        case str() if "\0" in found:
            raise RuleDoesNotFit(f"{path} has a character that no text has: NUL", hint="leave it out")
        case int() if abs(found) >= _TOO_LARGE:
            raise RuleDoesNotFit(f"{path} is a number beyond 64 bits", hint="send it as text")
        case float() if not math.isfinite(found):
            # 1e999 is JSON, and no number when it was read.
            raise RuleDoesNotFit(f"{path} is no number", hint="send it as text")
        case _:
            return


def _references(text: str, at: str) -> Iterator[str]:
    for piece in _PIECES.finditer(text):
        if piece[0] in {"{", "}"}:
            raise TemplateUnusable(
                f"{at}: {text!r} has a brace without its other", hint="a brace that is meant is written twice: {{ or }}"
            )
        if piece[1] is not None:
            yield piece[1]


def _parse(reference: str, at: str) -> _Reference:
    if not _REFERENCE.fullmatch(reference):
        raise TemplateUnusable(
            f"{at}: {{{reference}}} is no reference; expected {{dotted.path}}, {{path?}}, {{path|other}} or {{path:12}}",
            hint="a path is made of letters, digits, _ and -, with dots between keys",
        )
    paths = [each.partition(":") for each in reference.removesuffix("?").split("|")]
    return _Reference(
        tuple((path, int(most) if most else None) for path, _, most in paths), is_optional=reference.endswith("?")
    )


def _parsed(text: str) -> JsonValue:
    try:
        return cast("JsonValue", from_json(text, allow_inf_nan=False))
    except ValueError:
        return None
