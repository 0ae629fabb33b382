"""What a twin answers: words, a tool's arguments, numbers of tokens, vectors; functions of the seed and the request alone.

One word is one token. The text says nothing: it is there to be carried whole.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

# How an answer is carried and who asked for it do not change what it is.
_CARRIAGE = frozenset({"stream", "stream_options", "user", "metadata", "safety_identifier", "service_tier", "store"})
_LEAST_WORDS, _MOST_WORDS = 8, 60
_BYTES_PER_TOKEN = 4
_WORDS = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "inlet",
    "juniper",
    "kelp",
    "lagoon",
    "meadow",
    "north",
    "orchard",
    "prairie",
    "quarry",
    "river",
    "summit",
    "tundra",
    "upland",
    "valley",
    "willow",
    "yarrow",
    "zephyr",
    "ash",
    "birch",
    "cove",
    "dune",
    "estuary",
    "fern",
    "glade",
    "heath",
    "isle",
    "jetty",
    "knoll",
]


@dataclass(frozen=True, slots=True)
class Composed:
    """An answer: `words` or, where a tool is called, its `arguments`; `reasoning` tokens are within `output`."""

    words: tuple[str, ...]
    tool: str
    arguments: Mapping[str, Any]
    output: int
    reasoning: int
    finish: str
    """`stop`, `length` or `tool`."""

    @property
    def text(self) -> str:
        """The words as one text."""
        return " ".join(self.words)


def count(content: bytes) -> int:
    """Tokens of *content*: one for every four bytes begun. The twins' own measure, no tokenizer of a model."""
    return -(-len(content) // _BYTES_PER_TOKEN)


def digest(seed: int, body: Mapping[str, Any], part: str = "") -> bytes:
    """Of all in *body* that an answer depends on."""
    told = {name: value for name, value in body.items() if name not in _CARRIAGE}
    return hashlib.blake2b(
        msgspec.json.encode(told, order="deterministic"), key=f"{seed}:{part}".encode()[:64], digest_size=16
    ).digest()


def compose(
    drawn: bytes,
    *,
    most: int | None,
    tool: tuple[str, Mapping[str, Any]] | None,
    reasons: bool,
    wanted: int | None = None,
) -> Composed:
    """The answer to the request that *drawn* was made of: at most *most* tokens; *wanted* sets their number."""
    source = random.Random(drawn)  # noqa: S311 -- reproducible, not secret
    length = source.randint(_LEAST_WORDS, _MOST_WORDS) if wanted is None else wanted
    reasoning = length * source.randint(1, 3) if reasons else 0
    called = _call(source, tool[0], tool[1], reasoning) if tool else None
    if called and (most is None or called.output <= most):
        return called
    # A call that does not fit is cut short, as any other answer, before it is one.
    length = called.output - reasoning if called else length
    full = length + reasoning
    kept = full if most is None else min(full, most)
    # What is thought comes first, so a tight limit can leave nothing to be read.
    reasoning = min(reasoning, kept)
    words = tuple(source.choice(_WORDS) for _ in range(kept - reasoning))
    return Composed(words, "", {}, kept, reasoning, "stop" if kept == full else "length")


def vector(drawn: bytes, dimensions: int) -> list[float]:
    """A unit vector."""
    source = random.Random(drawn)  # noqa: S311 -- reproducible, not secret
    values = [source.gauss(0, 1) for _ in range(dimensions)]
    length = sum(value * value for value in values) ** 0.5 or 1.0
    return [value / length for value in values]


def _call(source: random.Random, name: str, schema: Mapping[str, Any], reasoning: int) -> Composed:
    arguments = _value(source, schema or {"type": "object"})
    if not isinstance(arguments, dict):
        arguments = {}
    output = count(name.encode()) + count(msgspec.json.encode(arguments)) + reasoning
    return Composed((), name, arguments, output, reasoning, "tool")


def _value(source: random.Random, schema: Mapping[str, Any]) -> Any:
    """Something that satisfies *schema*, as far as the usual words of JSON Schema go."""
    enum, properties, items = schema.get("enum"), schema.get("properties"), schema.get("items")
    if isinstance(enum, list) and enum:
        return source.choice(cast("list[Any]", enum))
    if schema.get("type") == "object":
        named = cast("dict[str, Any]", properties) if isinstance(properties, dict) else {}
        return {name: _value(source, each if isinstance(each, dict) else {}) for name, each in named.items()}
    if schema.get("type") == "array":
        return [_value(source, cast("dict[str, Any]", items) if isinstance(items, dict) else {})]
    simple: Mapping[str, Callable[[], Any]] = {
        "integer": lambda: source.randint(0, 99),
        "number": lambda: source.randint(0, 9999) / 100,
        "boolean": lambda: source.random() < 0.5,  # noqa: PLR2004 -- heads or tails
        "null": lambda: None,
    }
    return simple.get(str(schema.get("type")), lambda: source.choice(_WORDS))()
