"""What a kind of damage is, and all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Where(StrEnum):
    """What is damaged, in the order of the table."""

    REPOSITORY = "repository"
    COPY = "restored copy"
    OFFSITE = "off-site copy"
    NIGHT = "the night itself"
    """Last, for each takes a snapshot more."""


class Right(StrEnum):
    """What a night has to say of it."""

    REFUTED = "REFUTED"
    UNKNOWN = "UNKNOWN"
    """It cannot be judged, and nothing may rest on it."""
    WITHSTOOD = "withstood"
    """What is damaged is not what counts: the proof is of what was pinned, and stands."""


@dataclass(frozen=True)
class Kind:
    """A kind of damage."""

    name: str
    where: Where
    damage: Callable[..., tuple[str, ...]]
    """Does it to a case. Answers what the findings have to name: one of these is enough."""
    right: Right = Right.REFUTED
    slow: bool = False
    """It waits for servers that try for long; the short part does without."""
    lasting: bool = False
    """It changes what other cases stand on, so it comes last."""

    def __str__(self) -> str:
        return self.name


KINDS: list[Kind] = []


def kind(name: str, where: Where, **more):
    """The decorated function is that kind's damage."""

    def register(damage):
        KINDS.append(Kind(name, where, damage, **more))
        return damage

    return register


def every() -> list[Kind]:
    """All of them, in the order in which they can be met on one ground."""
    order = list(Where)
    return sorted(KINDS, key=lambda each: (each.lasting, order.index(each.where)))
