"""The cells in which a bill and the ledger are compared: everything that both sides tell apart, by the hour."""

from __future__ import annotations

from operator import add, sub
from typing import NamedTuple

#: What is counted: tokens, and searches. Named as in the ledger; no two of them share a token.
CLASSES = (
    "input_uncached",
    "input_cached",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "web_searches",
)
INPUTS = range(5)
OUTPUT, SEARCHES = 5, 6
#: In the order of CLASSES. A difference may be negative.
Quantities = tuple[int, ...]
NOTHING: Quantities = (0,) * len(CLASSES)
#: At which an attempt is billed that asked for none and was told none, by kind of provider.
DEFAULT_TIERS = {"openai": "default", "anthropic": "standard"}
MINUTE = 60
HOUR = 3600
DAY = 86_400


class Cell(NamedTuple):
    """One account, hour, project, key, model, tier and context."""

    account: str
    hour: int
    """Unix time at which the UTC hour begins; or its minute, where sides are compared minute by minute."""
    project: str
    """The provider's id of the project, or workspace."""
    key: str
    """The provider's id of its key."""
    model: str
    """As served, and as billed."""
    tier: str
    context: str
    """`base` or `long`, by the rate that its prompts' size asks for; empty where a report does not tell."""


def plus(left: Quantities, right: Quantities) -> Quantities:
    return tuple(map(add, left, right))


def minus(left: Quantities, right: Quantities) -> Quantities:
    return tuple(map(sub, left, right))


def prompt_of(quantities: Quantities) -> int:
    """All of the input."""
    return sum(quantities[: INPUTS.stop])
