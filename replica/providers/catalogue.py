"""The models that the twins have: a few of each provider's, under their dated names, with the aliases that lead to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """`created` is a Unix time; `embedding` models have no output; `reasons`: a share of the output is never shown.

    A prompt of more than `long_tokens` pays another rate for all of it; `writes_cache`: what goes into the cache by itself has
    a rate of its own (OpenAI's newer models); `tiers`: which it is sold at beside the default one.
    """

    provider: str
    name: str
    alias: str
    created: int
    display_name: str
    context_tokens: int
    output_tokens: int
    reasons: bool = False
    embedding: bool = False
    long_tokens: int | None = None
    writes_cache: bool = False
    tiers: tuple[str, ...] = ()


def _gpt6(name: str, created: int, display_name: str) -> Model:
    return Model(
        "openai",
        name,
        "",
        created,
        display_name,
        1_050_000,
        128_000,
        reasons=True,
        long_tokens=272_000,
        writes_cache=True,
        tiers=("flex", "priority"),
    )


_PRIORITY = ("priority",)
_MODELS = (
    _gpt6("gpt-6.1-sol", 1_790_640_000, "GPT-6.1 Sol"),
    _gpt6("gpt-6-sol", 1_790_035_200, "GPT-6 Sol"),
    _gpt6("gpt-6-luna", 1_790_035_200, "GPT-6 Luna"),
    Model("openai", "gpt-4.1-2025-04-14", "gpt-4.1", 1_744_588_800, "GPT-4.1", 1_047_576, 32_768, tiers=_PRIORITY),
    Model(
        "openai",
        "gpt-4o-mini-2024-07-18",
        "gpt-4o-mini",
        1_721_260_800,
        "GPT-4o mini",
        128_000,
        16_384,
        tiers=_PRIORITY,
    ),
    Model("openai", "text-embedding-3-small", "", 1_705_948_997, "Embedding 3 small", 8_192, 0, embedding=True),
    Model("openai", "text-embedding-3-large", "", 1_705_953_180, "Embedding 3 large", 8_192, 0, embedding=True),
    Model(
        "anthropic", "claude-haiku-5-5", "", 1_791_331_200, "Claude Haiku 5.5", 1_000_000, 128_000, long_tokens=100_000
    ),
    Model("anthropic", "claude-sonnet-5-5", "", 1_788_220_800, "Claude Sonnet 5.5", 1_000_000, 128_000),
    Model("anthropic", "claude-opus-5-5", "", 1_790_035_200, "Claude Opus 5.5", 1_000_000, 128_000),
    Model(
        "anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5", 1_759_276_800, "Claude Haiku 4.5", 200_000, 64_000
    ),
)


def models(provider: str) -> list[Model]:
    """Newest first, as both providers list them."""
    return sorted((each for each in _MODELS if each.provider == provider), key=lambda each: -each.created)


def find(provider: str, name: str) -> Model | None:
    """The model that answers to *name*, its own or its alias."""
    return _BY_NAME.get((provider, name))


_BY_NAME = {(each.provider, name): each for each in _MODELS for name in (each.name, each.alias) if name}
