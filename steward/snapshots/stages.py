"""A stage of the night: what it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, JsonValue


class Stage(BaseModel):
    """One stage. Where several runs are at it, their seconds of work, which overlap."""

    model_config = ConfigDict(frozen=True)

    name: str
    seconds: float
    bytes: int | None = None
    documents: int | None = None

    def figures(self) -> dict[str, JsonValue]:
        """As statements have it."""
        return {
            "name": self.name,
            "milliseconds": milliseconds(self.seconds),
            "bytes": self.bytes,
            "documents": self.documents,
        }


def milliseconds(seconds: float | None) -> int | None:
    """As statements have durations: whole, or unmeasured."""
    return None if seconds is None else round(1000 * seconds)


def add_stages(stages: Iterable[Stage]) -> list[Stage]:
    """One stage a name, in order of first appearance: batches add up."""
    added: dict[str, Stage] = {}
    for stage in stages:
        before = added.get(stage.name)
        added[stage.name] = stage if before is None else _both(before, stage)
    return list(added.values())


def _both(one: Stage, other: Stage) -> Stage:
    return Stage(
        name=one.name,
        seconds=one.seconds + other.seconds,
        bytes=_plus(one.bytes, other.bytes),
        documents=_plus(one.documents, other.documents),
    )


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def seconds_covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds in which at least one of *spans* (begin, end) lasted: what side by side took, and what one by one."""
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered
