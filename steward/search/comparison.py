"""Where two JSON values differ, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

_SHOWN = 160


def differences(seen: Any, expected: Any, path: str = "") -> Iterator[str]:
    """One line for each place where *seen* is not *expected*, e.g. `settings.index.number_of_shards: saw 2, expected 1`.

    Objects are compared member by member, lists of texts as sets, anything else as a whole.
    """
    if isinstance(seen, Mapping) and isinstance(expected, Mapping):
        for key in sorted({*seen, *expected}):
            below = f"{path}.{key}" if path else str(key)
            yield from differences(seen.get(key, MISSING), expected.get(key, MISSING), below)
    elif _is_texts(seen) and _is_texts(expected):
        yield from _members(seen, expected, path)
    elif seen != expected:
        yield f"{path or 'value'}: saw {_shown(seen)}, expected {_shown(expected)}"


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _members(seen: list[str], expected: list[str], path: str) -> Iterator[str]:
    """What is lacking, and what is too much: a long list of privileges is not read through for the one that differs."""
    for verb, surplus in (("lacks", set(expected) - set(seen)), ("also has", set(seen) - set(expected))):
        if surplus:
            yield f"{path or 'value'}: {verb} {', '.join(sorted(surplus))}"


class _Missing:
    """What no JSON value equals, `null` included."""


MISSING = _Missing()


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
