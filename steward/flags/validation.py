"""Whether a document may be pushed: against the schema, by its names, and evaluated by the SDK itself.

A document that one SDK refuses costs every application seconds in which its SDK reconnects, and one that is accepted
and evaluates wrongly is worse. So the format is narrower than flagd's: what `steward.flags.documents` writes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from steward.flags.buckets import Subject, variant_of
from steward.flags.documents import document
from steward.flags.errors import FlagDocumentRefused
from steward.flags.evaluation import Evaluator
from steward.flags.model import Flag

#: Some fall into every weight that matters, and all of them take a flag a millisecond or two.
_SAMPLE = tuple(Subject(f"user-{number}", f"tenant-{number % 7}") for number in range(100))
#: A lease may end while we look, which takes milliseconds.
_LOOKING_SECONDS = 2


def validated(flags: Iterable[Flag]) -> dict[str, Any]:
    """The document of *flags*, which SDKs can read, and read as it is meant; raises FlagDocumentRefused otherwise."""
    flags = tuple(flags)
    made = document(flags)
    evaluator = _loaded(made)
    for flag in flags:
        _require_meaning(flag, evaluator)
    return made


def require_valid(made: Any) -> None:
    """Raises FlagDocumentRefused if an SDK could not load or evaluate the document *made*, whoever wrote it."""
    evaluator = _loaded(made)
    for key in made["flags"]:
        for subject in _SAMPLE:
            evaluator.variant(key, subject)


def _loaded(made: Any) -> Evaluator:
    _require_schema(made)
    for key, flag in made["flags"].items():
        _require_names(key, flag)
    return Evaluator(made)


def _require_schema(made: Any) -> None:
    try:
        json.dumps(made, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _refused(f"the document is no JSON: {error}") from error
    error = best_match(_schema().iter_errors(made))
    if error is not None:
        raise _refused(_told(error))


def _told(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "the document"
    return f"{where}: {error.message[:200]}"


def _refused(seen: str) -> FlagDocumentRefused:
    return FlagDocumentRefused(
        seen,
        expected="a document as steward/flags/schema/document.json describes it",
        hint="docs/flags.md has the format; steward.flags.documents writes it",
    )


@cache
def _schema() -> Validator:
    text = (files("steward.flags") / "schema" / "document.json").read_text(encoding="utf-8")
    # JSON Schema takes 5.0 for whole. Python's SDK does not, and gives everybody the default; JavaScript's reads 5.
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return extend(Draft202012Validator, type_checker=whole)(json.loads(text))


def _require_names(key: str, flag: Any) -> None:
    """An SDK notices a variant that is not there only once a user falls into it."""
    missing = sorted({flag["defaultVariant"], *_named(flag.get("targeting"))} - set(flag["variants"]))
    if missing:
        raise FlagDocumentRefused(
            f"flag {key} gives {', '.join(missing)}, which it does not have",
            expected=f"one of {', '.join(flag['variants'])}",
            hint="add the variant and its value, or name another",
        )


def _named(rule: Any) -> Iterator[str]:
    match rule:
        case str():
            yield rule
        case {"if": [_, then, otherwise]}:
            yield from _named(then)
            yield from _named(otherwise)
        case {"fractional": weights}:
            yield from (name for name, _ in weights)
        case _:
            return


def _require_meaning(flag: Flag, evaluator: Evaluator) -> None:
    """The sample, and somebody of each audience, get what the model says."""
    users = [Subject(user) for audience in flag.audiences for user in audience.users[:1]]
    tenants = [Subject("user-1", tenant) for audience in flag.audiences for tenant in audience.tenants[:1]]
    now = time.time()
    for subject in (*users, *tenants, *_SAMPLE):
        meant = {variant_of(flag, subject, at) for at in (now - _LOOKING_SECONDS, now + _LOOKING_SECONDS)}
        given = evaluator.variant(flag.key, subject)
        if given not in meant:
            raise FlagDocumentRefused(
                f"flag {flag.key} gives {given} to {subject}",
                expected=" or ".join(sorted(meant)),
                hint="the model and the SDK understand it differently: tell the maintainers, and change the flag",
            )
