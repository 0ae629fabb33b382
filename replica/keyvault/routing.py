"""From a method and a path to the operation that answers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replica.keyvault.errors import Refusal
from replica.keyvault.operations import Operation

_NAME, _VERSION = "{name}", "{version}"


@dataclass(frozen=True, slots=True)
class Match:
    """The operation, and what stands in the path's variable places, unchecked."""

    operation: Operation
    name: str
    version: str


class Routes:
    """The paths of *operations*; one with a version is also known without it, for the newest."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._patterns: list[tuple[tuple[str, ...], Operation]] = []
        for operation in operations:
            pattern = _segments(operation.path)
            self._patterns.append((pattern, operation))
            if _VERSION in pattern:
                self._patterns.append((tuple(each for each in pattern if each != _VERSION), operation))
        # Words before variables: `/keys/{name}/versions` is no version called so.
        self._patterns.sort(key=lambda entry: [segment in {_NAME, _VERSION} for segment in entry[0]])

    def match(self, method: str, path: str) -> Match:
        """Refusal 404 for an unknown path, 405 for a known one with another method."""
        segments = _segments(path)
        others = False
        for pattern, operation in self._patterns:
            found = _fit(pattern, segments)
            if found is not None and operation.method == method:
                return Match(operation, found.get(_NAME, ""), found.get(_VERSION, ""))
            others = others or found is not None
        if others:
            raise Refusal(405, "MethodNotAllowed", f"Method {method[:16]} is not allowed here")
        raise _unknown()


def _unknown() -> Refusal:
    return Refusal(404, "NotFound", "The request URI names nothing in this key vault")


def _segments(path: str) -> tuple[str, ...]:
    # `/secrets/a/` is the newest version of `a`: the SDK joins name and an empty version so.
    return tuple(path.removeprefix("/").rstrip("/").split("/"))


def _fit(pattern: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    found: dict[str, str] = {}
    for expected, given in zip(pattern, segments, strict=True):
        if expected in {_NAME, _VERSION}:
            found[expected] = given
        elif expected != given.lower():
            return None
    return found
