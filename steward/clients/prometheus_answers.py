"""Figures as Prometheus has them, each with its own time. Missing, stale and not a number are values, never zero.

The format: https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from steward.errors import BadInput


class Standing(StrEnum):
    """What a figure is worth."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    NAN = "not a number"
    INFINITE = "infinite"


@dataclass(frozen=True)
class Value:
    """One figure."""

    standing: Standing
    number: float | None = None
    """As Prometheus has it, NaN and infinity included, a stale one too; None where it is missing."""
    at: float | None = None
    """Unix time of the scrape that it is from, by Prometheus's clock; of several, the oldest."""
    age_seconds: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def fresh(self) -> float | None:
        """The number where it is one, and young enough; else None."""
        return self.number if self.standing is Standing.FRESH else None

    def __str__(self) -> str:
        if self.number is None or self.age_seconds is None:
            return str(self.standing)
        told = f"{self.number:g}, {self.age_seconds:.1f} s old"
        return told if self.standing is Standing.FRESH else f"{self.standing} ({told})"


MISSING = Value(Standing.MISSING)


@dataclass(frozen=True)
class Answer:
    """What a query found. Empty is an answer: nothing has that name."""

    query: str
    at: float
    """Unix time by Prometheus's clock, to which ages are measured."""
    values: tuple[Value, ...]

    def of(self, **labels: str) -> Value:
        """The one value that has *labels*, among others perhaps; MISSING where none has. BadInput where several have."""
        found = [value for value in self.values if labels.items() <= value.labels.items()]
        if len(found) > 1:
            raise BadInput(
                f"{len(found)} values of {self.query!r} have the labels {labels}, expected one: "
                + "; ".join(str(dict(value.labels)) for value in found[:3]),
                hint="name more labels, or aggregate in the query",
            )
        return found[0] if found else MISSING


def value(number: float, at: float, now: float, fresh_seconds: float, labels: Mapping[str, str]) -> Value:
    """*number*, true at *at*, as it stands *now*. Age comes first: of an old NaN nobody knows what it is by now."""
    age = now - at
    return Value(_standing(number, age, fresh_seconds), number, at, age, labels)


def _standing(number: float, age: float, fresh_seconds: float) -> Standing:
    if age > fresh_seconds:
        return Standing.STALE
    if math.isnan(number):
        return Standing.NAN
    return Standing.INFINITE if math.isinf(number) else Standing.FRESH


@dataclass(frozen=True)
class Point:
    """A number as it stands in an answer: its series and the time beside it."""

    labels: Mapping[str, str]
    number: float
    at: float


def points(answer: Any) -> Iterator[Point]:
    """Each series' last number. KeyError, TypeError, ValueError or IndexError where *answer* is of another shape."""
    data = answer["data"]
    match data["resultType"]:
        case "scalar":
            yield _point({}, data["result"])
        case "vector":
            yield from (_point(each["metric"], each["value"]) for each in data["result"])
        case "matrix":
            yield from (_point(each["metric"], each["values"][-1]) for each in data["result"])
        case other:
            raise ValueError(f"a result of type {other!r}")


def _point(labels: Mapping[str, str], pair: Any) -> Point:
    at, number = pair
    # As text, for JSON has no NaN: "NaN", "+Inf", "-Inf".
    if not isinstance(number, str):
        raise TypeError(f"a number as {type(number).__name__}, expected text")
    return Point({str(name): str(text) for name, text in labels.items()}, float(number), float(at))
