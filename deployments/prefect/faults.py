"""A fault in what Prefect is told: where it stands, what was seen, what was expected, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

#: Names whose values are secrets wherever they stand.
_SECRET_NAME = re.compile(r"pass(word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|credential|auth_string")
#: Shapes of secrets: PEM keys, AWS access keys, GitHub, Slack and OpenAI tokens, JSON web tokens, a password in a URL.
_SECRET_VALUE = re.compile(
    r"-----BEGIN|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bxox[abprs]-[\w-]{10,}"
    r"|\bsk-[\w-]{16,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.|://[^/\s:@{]+:[^/\s@{]+@"
)
#: What only says where a secret is.
_REFERENCE_NAME = re.compile(r"_(name|file|path|ref)$")
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it has to be."""

    where: str
    """`file:line path` for a file, the object's name for a server."""
    seen: str
    expected: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.seen}, expected {self.expected}\n    HINT: {self.hint}"


def shown(value: Any) -> str:
    """*value* as it may stand in a message: cut when long, withheld when it looks like a secret."""
    text = repr(value)
    if any(True for _ in secrets_in(value)):
        return "a value that looks like a secret"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* was probably meant to be."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def secrets_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where *value* holds what looks like a secret, by its shape or by the name that it is filed under.

    A reference (`file:…`), a template (`{{ … }}`) and a path are no secrets.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from secrets_in(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from secrets_in(item, (*path, index))
    elif isinstance(value, str) and value and _is_secret(value, path):
        yield path


def _is_secret(value: str, path: tuple[str | int, ...]) -> bool:
    if _SECRET_VALUE.search(value):
        return True
    # In a template's form the name stands one higher: `properties: {db_password: {default: …}}`.
    names = [str(step).lower() for step in path if step != "default"]
    named = bool(names) and _SECRET_NAME.search(names[-1]) and not _REFERENCE_NAME.search(names[-1])
    return bool(named) and not value.startswith(("file:", "keyvault:", "/", "{{"))
