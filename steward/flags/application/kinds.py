"""The kinds of outcome that an application counts: those that every one has, and those that it names when it starts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from steward.errors import BadInput
from steward.flags.application.exposures import Kind

#: As a plan names its metrics, and as the database takes them.
_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
#: As many as a plan may have metrics.
_MOST = 10


class UnusableKinds(BadInput):
    """An application names kinds that nothing can count. Raised where it starts."""


class UnknownKind(BadInput):
    """An application counts a kind that it has not named."""

    def __init__(self, kind: str, known: Iterable[str]) -> None:
        super().__init__(
            f"outcomes of kind {kind[:60]!r} are not counted; known: {', '.join(known)}",
            hint=f"name it where the application starts: Outcomes(salt, kinds=[{kind[:60]!r}])",
        )


def kinds_with(named: Iterable[str]) -> tuple[str, ...]:
    """All kinds of an application that names these. Raises UnusableKinds."""
    if isinstance(named, str):
        raise UnusableKinds(f"kinds are {named!r}, one text", hint=f"a list: [{named!r}]")
    extra = tuple(dict.fromkeys(named))
    unusable = [each for each in extra if not isinstance(each, str) or not _NAME.fullmatch(each)]  # pyright: ignore[reportUnnecessaryIsInstance]  applications need not be typed
    if unusable:
        raise UnusableKinds(
            f"kinds {unusable} are no names",
            hint="as in `put_by`: small letters, digits and _, a letter first, 40 at most",
        )
    theirs = sorted({*extra} & {*Kind})
    if theirs:
        raise UnusableKinds(f"kinds {', '.join(theirs)} are counted by themselves", hint="leave them out")
    if len(extra) > _MOST:
        raise UnusableKinds(f"{len(extra)} kinds are named", hint=f"{_MOST} at most: a plan has no more metrics")
    return (*Kind, *extra)
