"""OpenAI's reports of usage and costs, read as the two sides of a bill.

https://platform.openai.com/docs/api-reference/usage. `input_tokens` includes what was read from, and written to, a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from steward.costs.cells import Cell
from steward.costs.errors import PageUnusable
from steward.costs.reports.buckets import Json, buckets, count, dollars, name, name_or_none, part
from steward.costs.values import Line, Usage

COSTS, COMPLETIONS, EMBEDDINGS = "costs", "usage/completions", "usage/embeddings"
#: What a line item calls a class, behind the model's name: `gpt-6-luna, cached input`, or `gpt-6-luna, cached_input_tokens`.
_ITEMS = {
    "input": "input_uncached",
    "cached input": "input_cached",
    "cache write": "cache_write",
    "output": "output",
}
_DEFAULT = "default"
#: Tokens of a line's unit; lines of another unit tell no tokens.
_UNITS = {"tokens": 1, "1000_tokens": 1000}
_MOST_QUANTITY = 10**18


def usage(account: str, report: str, pages: Sequence[Json], hours: Sequence[int]) -> Iterator[Usage]:
    """Of completions or embeddings, by the hours, or minutes, that were asked for. Raises PageUnusable."""
    for hour, result in buckets(pages, report, hours, start="start_time", end="end_time"):
        embeddings = report == EMBEDDINGS
        tier = _DEFAULT if embeddings else "batch" if result.get("batch") else name(result, "service_tier", report)
        cell = Cell(
            account,
            hour,
            name_or_none(result, "project_id", report),
            name_or_none(result, "api_key_id", report),
            name(result, "model", report),
            tier,
            "",
        )
        tokens = count(result, "input_tokens", report)
        cached = 0 if embeddings else count(result, "input_cached_tokens", report)
        written = 0 if embeddings else _written(result, report)
        output = 0 if embeddings else count(result, "output_tokens", report)
        if cached + written > tokens:
            raise PageUnusable(
                f"{report}: {cached} tokens read from a cache and {written} written to it are more than the {tokens} of "
                "the whole input",
                hint="compare the report with the provider's reference: what is cached is part of the input",
            )
        quantities = (tokens - cached - written, cached, written, 0, 0, output, 0)
        yield Usage(cell, quantities, count(result, "num_model_requests", report))


def _written(result: Json, report: str) -> int:
    # Older models' results do not have it.
    return 0 if result.get("input_cache_write_tokens") is None else count(result, "input_cache_write_tokens", report)


def lines(pages: Sequence[Json], day: int) -> Iterator[Line]:
    """Of the costs of the day that begins at *day*. Raises PageUnusable."""
    for _, result in buckets(pages, COSTS, [day], start="start_time", end="end_time"):
        amount = part(result, "amount", COSTS)
        item = name(result, "line_item", COSTS)
        model, tier, token_class = _described(item)
        yield Line(
            project=name_or_none(result, "project_id", COSTS),
            key=name_or_none(result, "api_key_id", COSTS),
            model=model,
            tier=tier,
            context="",
            item=token_class or item,
            quantity=_quantity(result),
            amount=dollars(amount.get("value"), amount.get("currency"), COSTS),
        )


def _quantity(result: Json) -> int | None:
    """In tokens; None where it is told in something else, or not in whole ones."""
    told, unit = result.get("quantity"), _UNITS.get(str(result.get("quantity_unit")))
    if unit is None or isinstance(told, bool) or not isinstance(told, int | Decimal) or abs(told) > _MOST_QUANTITY:
        return None
    tokens = told * unit
    return int(tokens) if tokens == int(tokens) else None


def _described(item: str) -> tuple[str, str, str]:
    """(model, tier, class) of `MODEL, CLASS[, TIER]`; no class: it is something else."""
    model, _, rest = item.partition(", ")
    words, _, tier = rest.partition(", ")
    token_class = _ITEMS.get(words.lower().replace("_", " ").removesuffix(" tokens"))
    return (model, tier or _DEFAULT, token_class) if token_class else ("", "", "")
