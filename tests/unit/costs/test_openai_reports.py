"""OpenAI's reports by the shapes of its own SDK (openai/types/admin/organization)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from steward.costs.cells import Cell
from steward.costs.errors import PageUnusable
from steward.costs.reports.buckets import read_page
from steward.costs.reports.openai_reports import COMPLETIONS, EMBEDDINGS, lines, usage
from steward.costs.values import Line, Usage

DAY = 1_795_132_800
CELL = Cell("main", DAY, "proj_1", "key_1", "gpt-6-luna", "default", "")
TOLD = {
    "object": "organization.usage.completions.result",
    "input_tokens": 1000,
    "input_cached_tokens": 300,
    "input_cache_write_tokens": 100,
    "output_tokens": 20,
    "num_model_requests": 4,
    "project_id": "proj_1",
    "api_key_id": "key_1",
    "user_id": None,
    "model": "gpt-6-luna",
    "service_tier": "default",
    "batch": False,
}
COST = {
    "object": "organization.costs.result",
    "amount": {"value": 0.0625, "currency": "usd"},
    "line_item": "gpt-6-luna, input",
    "project_id": "proj_1",
    "api_key_id": "key_1",
    "quantity": 1000,
    "quantity_unit": "tokens",
}


def pages(*results, width=3600):
    bucket = {"object": "bucket", "start_time": DAY, "end_time": DAY + width, "results": results}
    body = json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None})
    return [read_page(body.encode(), "report")]


def used(report=COMPLETIONS, **changed):
    told = {name: value for name, value in {**TOLD, **changed}.items() if value is not ...}
    (found,) = usage("main", report, _hour(told), range(DAY, DAY + 3600, 1800))
    return found


def _hour(told):
    # Two buckets of half an hour: their width is that of what was asked for.
    (page,) = pages(told, width=1800)
    page["data"].append({"start_time": DAY + 1800, "end_time": DAY + 3600, "results": []})
    return [page]


def line(**changed):
    (found,) = lines(pages({**COST, **changed}, width=86_400), DAY)
    return found


def test_what_is_cached_or_written_is_taken_out_of_the_input() -> None:
    assert used() == Usage(CELL, (600, 300, 100, 0, 0, 20, 0), 4)


def test_older_answers_tell_of_no_writing() -> None:
    for absent in (None, ...):
        assert used(input_cache_write_tokens=absent).quantities == (700, 300, 0, 0, 0, 20, 0)


def test_a_batch_is_a_tier_whatever_its_tier_says() -> None:
    assert used(batch=True, service_tier=None).cell.tier == "batch"
    assert used(service_tier="flex").cell.tier == "flex"


def test_embeddings_tell_neither_tier_nor_cache() -> None:
    told = {"input_cached_tokens": ..., "output_tokens": ..., "service_tier": ..., "batch": ..., "model": "embedder"}
    assert used(EMBEDDINGS, **told) == Usage(CELL._replace(model="embedder"), (1000, 0, 0, 0, 0, 0, 0), 4)


def test_use_without_a_key_is_use_all_the_same() -> None:
    assert used(api_key_id=None, project_id=None).cell[2:4] == ("", "")
    assert (line(api_key_id=None).key, line(project_id=None).project) == ("", "")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"input_tokens": 399}, "300 tokens read from a cache and 100 written to it are more than the 399"),
        ({"input_tokens": None}, "input_tokens is None"),
        ({"input_cached_tokens": None}, "input_cached_tokens is None"),
        ({"output_tokens": -1}, "output_tokens is -1"),
        ({"num_model_requests": ...}, "num_model_requests is None"),
        ({"model": None}, "model is None"),
        ({"service_tier": None}, "service_tier is None"),
        ({"api_key_id": ...}, "api_key_id is None"),
    ],
)
def test_usage_that_lacks_something_is_no_usage(changed, words) -> None:
    with pytest.raises(PageUnusable, match=words):
        used(**changed)


def test_a_line_is_of_its_model_class_and_tier() -> None:
    assert line() == Line("proj_1", "key_1", "gpt-6-luna", "default", "", "input_uncached", 1000, Decimal("0.0625"))


@pytest.mark.parametrize(
    ("item", "read"),
    [
        ("gpt-6-luna, cached input, flex", ("gpt-6-luna", "flex", "input_cached")),
        ("gpt-6-luna, cache write", ("gpt-6-luna", "default", "cache_write")),
        ("gpt-6-luna, output, priority", ("gpt-6-luna", "priority", "output")),
        # As OpenAI's reference has it, and as users report it.
        ("gpt-6-astra, input_tokens", ("gpt-6-astra", "default", "input_uncached")),
        ("gpt-4o-2024-08-06, Input", ("gpt-4o-2024-08-06", "default", "input_uncached")),
        # No class of the ledger's: named as the provider names it.
        ("web search tool calls", ("", "", "web search tool calls")),
        ("gpt-4o, image input", ("", "", "gpt-4o, image input")),
        ("gpt-4o", ("", "", "gpt-4o")),
    ],
)
def test_a_line_item_is_a_class_or_stays_what_it_is_called(item, read) -> None:
    found = line(line_item=item)
    assert (found.model, found.tier, found.item) == read


@pytest.mark.parametrize(
    ("quantity", "unit", "tokens"),
    [
        (7, "tokens", 7),
        (7.0, "tokens", 7),
        (1.5, "1000_tokens", 1500),
        (0.0005, "1000_tokens", None),
        (3, "images", None),
        (3, None, None),
        (None, "tokens", None),
        (True, "tokens", None),
        (1e300, "tokens", None),
    ],
)
def test_a_quantity_is_in_whole_tokens_or_not_told(quantity, unit, tokens) -> None:
    assert line(quantity=quantity, quantity_unit=unit).quantity == tokens


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": None},
        {"amount": []},
        {"amount": {"value": None, "currency": "usd"}},
        {"amount": {"value": 1}},
        {"amount": {"value": 1, "currency": "eur"}},
        {"line_item": None},
    ],
)
def test_a_line_without_its_amount_in_dollars_or_its_name_is_no_line(changed) -> None:
    with pytest.raises(PageUnusable):
        line(**changed)


def test_money_that_is_given_back_is_a_line_too() -> None:
    assert line(amount={"value": -0.0000000625, "currency": "usd"}).amount == Decimal("-6.25E-8")
