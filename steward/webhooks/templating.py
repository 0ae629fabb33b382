"""What a rule puts into a run's parameters: values of the payload, by dotted paths.

    {deployment.id}                             the value as it is, where the text is nothing else
    deployment {deployment.id} by {sender.login}  within a text: its words
    {deployment.payload.release|deployment.sha} the first that is there
    {deployment.payload.variant?}               left out, with its name, where it is not there
    {{ and }}                                   braces

A path goes through objects, and through a text that is a JSON object: a deployment's payload at GitHub may be either. What is null
is not there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import JsonValue

from steward.webhooks.delivery import Payload, payload_of
from steward.webhooks.errors import MalformedBody, RuleDoesNotFit

PATH: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*"
_PART = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<asked>[^{}]*)\}|(?P<stray>[{}])")
_ASKED = re.compile(rf"(?P<paths>{PATH}(?:\|{PATH})*)(?P<optional>\??)")
#: A run's parameters are stored in clear and shown as a form: names and numbers, not a sender's documents.
MOST_CHARACTERS = 65_536


class _LeftOut:
    """Stands where an optional value is not there."""


_LEFT_OUT: Final = _LeftOut()


def look_up(payload: Payload, path: str) -> JsonValue:
    """What is at *path*; None: nothing is."""
    at: Any = payload
    for name in path.split("."):
        if isinstance(at, str):
            at = _object_in(at)
        if not isinstance(at, Mapping):
            return None
        at = at.get(name)
    return at


def _object_in(text: str) -> Payload | None:
    try:
        return payload_of(text.encode("utf-8", "surrogatepass"))
    except MalformedBody:
        return None


def fill(template: Mapping[str, JsonValue], payload: Payload) -> dict[str, JsonValue]:
    """*template* with what it asks *payload* for. Raises RuleDoesNotFit, which names the path and no value."""
    filled = _filled(dict(template), payload)
    assert isinstance(filled, dict)  # noqa: S101  an object of a template is never left out
    _demand_sendable(filled)
    return filled


def fill_text(template: str, payload: Payload) -> str:
    """As `fill`, of one text."""
    filled = _text(template, payload)
    if not isinstance(filled, str):
        raise RuleDoesNotFit(f"{template} is no text in this delivery", hint="name the path of a text")
    return filled


def faults_of(template: JsonValue) -> Iterator[str]:
    """What is wrong with the texts of *template*, whatever it is filled from."""
    match template:
        case str():
            yield from _faults_of_text(template)
        case list():
            for each in template:
                yield from faults_of(each)
        case dict():
            for each in template.values():
                yield from faults_of(each)
        case _:
            return


def _faults_of_text(text: str) -> Iterator[str]:
    for part in _PART.finditer(text):
        if part["stray"]:
            yield f"{text!r} has a brace without its other; a brace that is meant is written twice"
        elif part["asked"] is not None:
            asked = _ASKED.fullmatch(part["asked"])
            if asked is None:
                yield f"{{{part['asked']}}} is no path; expected {{a.b}}, {{a.b|c.d}} or {{a.b?}}"
            elif asked["optional"] and part.span() != (0, len(text)):
                yield f"{{{part['asked']}}} may be left out, and {text!r} not; an optional value stands alone"


def _filled(template: JsonValue, payload: Payload) -> JsonValue | _LeftOut:
    match template:
        case str():
            return _text(template, payload)
        case list():
            values = [_filled(each, payload) for each in template]
            return [each for each in values if not isinstance(each, _LeftOut)]
        case dict():
            named = {name: _filled(each, payload) for name, each in template.items()}
            return {name: each for name, each in named.items() if not isinstance(each, _LeftOut)}
        case _:
            return template


def _text(text: str, payload: Payload) -> JsonValue | _LeftOut:
    whole = _PART.fullmatch(text)
    if whole and whole["asked"] is not None:
        return _asked(whole["asked"], payload)
    return _PART.sub(lambda part: part["brace"][0] if part["brace"] else _words(part["asked"], payload), text)


def _asked(asked: str, payload: Payload) -> JsonValue | _LeftOut:
    read = _ASKED.fullmatch(asked)
    assert read  # noqa: S101  the rule was validated
    for path in read["paths"].split("|"):
        if (found := look_up(payload, path)) is not None:
            return found
    if read["optional"]:
        return _LEFT_OUT
    raise RuleDoesNotFit(
        f"the delivery has no {' and no '.join(read['paths'].split('|'))}",
        hint="mend what is sent, or the rule: {path?} where it may be missing",
    )


def _words(asked: str, payload: Payload) -> str:
    found = _asked(asked, payload)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str | int | float):
        return str(found)
    raise RuleDoesNotFit(
        f"{asked} is an object or a list, which stands within a text", hint="name the path of a text or a number"
    )


def _demand_sendable(filled: Mapping[str, JsonValue]) -> None:
    if not all(map(math.isfinite, _numbers(filled))):
        raise RuleDoesNotFit("a number is too large to be one", hint="see what the sender sends")
    if (length := len(json.dumps(filled))) > MOST_CHARACTERS:
        raise RuleDoesNotFit(
            f"the parameters have {length:,} characters, {MOST_CHARACTERS:,} are allowed",
            hint="name the paths of names and numbers, not of whole objects",
        )


def _numbers(value: Any) -> Iterator[float]:
    match value:
        case float():
            yield value
        case Mapping():
            for each in value.values():
                yield from _numbers(each)
        case list():
            for each in value:
                yield from _numbers(each)
        case _:
            return
