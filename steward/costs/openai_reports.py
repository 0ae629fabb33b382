"""OpenAI's reports of usage and costs, read as the two sides of a bill.

https://platform.openai.com/docs/api-reference/usage. `input_tokens` includes what was read from, and written to, a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steward.costs.buckets import Json, buckets, count, dollars, name
from steward.costs.cells import Cell
from steward.costs.values import Line, Usage

COSTS, COMPLETIONS, EMBEDDINGS = "costs", "usage/completions", "usage/embeddings"
#: What a line item calls a class, behind the model's name.
_ITEMS = {
    "input": "input_uncached",
    "cached input": "input_cached",
    "cache write": "cache_write",
    "output": "output",
}
_DEFAULT = "default"


def usage(account: str, report: str, pages: Sequence[Json], hours: Sequence[int]) -> Iterator[Usage]:
    """Of completions or embeddings, by the hours that were asked for. Raises PageUnusable."""
    for hour, result in buckets(pages, report, hours, start="start_time"):
        embeddings = report == EMBEDDINGS
        tier = _DEFAULT if embeddings else "batch" if result.get("batch") else name(result, "service_tier", report)
        cell = Cell(
            account,
            hour,
            name(result, "project_id", report),
            name(result, "api_key_id", report),
            name(result, "model", report),
            tier,
            "",
        )
        tokens = count(result, "input_tokens", report)
        cached = 0 if embeddings else count(result, "input_cached_tokens", report)
        written = 0 if embeddings else _written(result, report)
        output = 0 if embeddings else count(result, "output_tokens", report)
        quantities = (tokens - cached - written, cached, written, 0, 0, output, 0)
        yield Usage(cell, quantities, count(result, "num_model_requests", report))


def _written(result: Json, report: str) -> int:
    # Older models' results do not have it.
    return count(result, "input_cache_write_tokens", report) if "input_cache_write_tokens" in result else 0


def lines(pages: Sequence[Json], day: int) -> Iterator[Line]:
    """Of the costs of the day that begins at *day*. Raises PageUnusable."""
    for _, result in buckets(pages, COSTS, [day], start="start_time"):
        amount = result.get("amount") or {}
        item = name(result, "line_item", COSTS)
        model, tier, token_class = _described(item)
        yield Line(
            project=name(result, "project_id", COSTS),
            key=name(result, "api_key_id", COSTS),
            model=model,
            tier=tier,
            context="",
            item=token_class or item,
            quantity=result.get("quantity"),
            amount=dollars(amount.get("value"), amount.get("currency"), COSTS),
        )


def _described(item: str) -> tuple[str, str, str]:
    """(model, tier, class) of `MODEL, CLASS[, TIER]`; no class: it is something else."""
    model, _, rest = item.partition(", ")
    words, _, tier = rest.partition(", ")
    if words not in _ITEMS:
        return "", "", ""
    return model, tier or _DEFAULT, _ITEMS[words]
