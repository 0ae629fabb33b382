"""Every price is the public list's for its day, or it is unknown; the standard one never stands in for another."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import genai_prices.data_snapshot
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TimeOfDateConstraint,
)

from replica.providers.billing.prices import Prices
from replica.providers.catalogue import models
from steward.costs.cells import Cell
from steward.costs.errors import PricesUnusable, PriceUnknown
from steward.costs.pricing.listed_prices import _standard
from steward.costs.pricing.prices import PriceBook, load_prices

OWN = Path(__file__).parents[3] / "deployments" / "costs" / "prices.toml"
#: The twins' names of classes, by provider.
CLASSES = {
    ("openai", "input"): "input_uncached",
    ("openai", "cached"): "input_cached",
    ("openai", "cache_write_30m"): "cache_write",
    ("openai", "output"): "output",
    ("anthropic", "input"): "input_uncached",
    ("anthropic", "cached"): "input_cached",
    ("anthropic", "cache_write_5m"): "cache_write_5m",
    ("anthropic", "cache_write_1h"): "cache_write_1h",
    ("anthropic", "output"): "output",
}
MILLION = 1_000_000


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return load_prices(OWN)


def cell(model: str, tier: str, day: str = "2026-11-20", context: str = "base", hour: int = 0) -> Cell:
    begin = int(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC, hour=hour).timestamp())
    return Cell("account", begin, "project", "key", model, tier, context)


def days() -> Iterator[str]:
    first = dt.date(2026, 10, 1)
    return (str(first + dt.timedelta(days=number)) for number in range(61))


def written(folder: Path, text: str) -> PriceBook:
    file = folder / "prices.toml"
    file.write_text(text)
    return load_prices(file)


def entry(**values: object) -> str:
    """One entry of a file; a value of None leaves its line out."""
    lines = {
        "provider": "'anthropic'",
        "model": "'claude-sonnet-5-5'",
        "tier": "'standard'",
        "from": "2026-01-01",
        "prices": "{ output = 9.0 }",
        **values,
    }
    return "\n".join(["[[prices]]", *(f"{name} = {value}" for name, value in lines.items() if value is not None), ""])


def test_twins_bill_what_the_book_says_on_every_day_of_october_and_november(book) -> None:
    table, differences, compared = Prices(), [], 0
    for provider, model, tier, long in table._rates:
        for day in days():
            where = cell(model, tier, day, "long" if long else "base")
            billed = table.rates(provider, model, tier, where.hour, long_context=long)
            listed = {name: book.rate(provider, where, CLASSES[provider, name]) for name in billed}
            compared += len(billed)
            if billed != listed:
                differences.append((day, model, tier, long, billed, listed))
    assert differences == []
    assert compared > 5_000


def test_twins_bill_searches_at_the_book_s_price(book) -> None:
    for day in days():
        assert book.rate("anthropic", cell("claude-sonnet-5-5", "standard", day), "web_searches") == Prices().web_search


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_twins_and_book_agree_which_prompts_are_long_and_which_tiers_there_are(book, provider) -> None:
    for model in models(provider):
        assert book.long_context_above(provider, model.name, dt.date(2026, 11, 1)) == model.long_tokens
        for tier in {"flex", "priority"} - set(model.tiers) if provider == "openai" else {"flex"}:
            with pytest.raises(PriceUnknown):
                book.rate(provider, cell(model.name, tier), "output")


@pytest.mark.parametrize(
    ("provider", "model", "tier", "context", "item", "day", "told"),
    [
        ("openai", "gpt-7", "default", "base", "output", "2026-11-20", "no price of a model 'gpt-7'"),
        # Names that the package takes for another model's, by how they begin.
        ("anthropic", "claude-haiku-4-5-turbo", "standard", "base", "output", "2026-11-20", "no price of a model"),
        ("openai", "gpt-5-nano-turbo", "default", "base", "output", "2026-11-20", "no price of a model"),
        ("anthropic", "claude-sonnet-4-2025-turbo", "standard", "base", "output", "2026-11-20", "no price of a model"),
        ("google", "gemini-3-pro", "default", "base", "output", "2026-11-20", "no price of a model"),
        ("openai", "gpt-6-luna", "scale", "base", "output", "2026-11-20", "at tier 'scale' has no price"),
        ("openai", "gpt-6-luna", "standard", "base", "output", "2026-11-20", "at tier 'standard' has no price"),
        ("anthropic", "claude-opus-5-5", "default", "base", "output", "2026-11-20", "at tier 'default' has no price"),
        ("openai", "gpt-6-luna", "", "base", "output", "2026-11-20", "at tier '' has no price"),
        ("openai", "gpt-4.1", "flex", "base", "output", "2026-11-20", "at tier 'flex' has no price"),
        ("openai", "gpt-6-astra", "flex", "base", "output", "2026-10-11", "has no price on 2026-10-11"),
        ("anthropic", "claude-opus-5-5", "batch", "base", "output", "2026-10-13", "has no price on 2026-10-13"),
        # A tier without a price of its own for cached input, and one without a price for long prompts.
        ("openai", "gpt-4.1", "batch", "base", "input_cached", "2026-11-20", "input_cached of gpt-4.1 at tier 'batch'"),
        ("openai", "gpt-5.4", "priority", "long", "output", "2026-11-20", "has no price for long prompts on 2026"),
        ("anthropic", "claude-opus-5-5", "standard", "base", "cache_write", "2026-11-20", "cache_write of claude-opus"),
        ("openai", "gpt-6-luna", "default", "base", "cache_write_5m", "2026-11-20", "cache_write_5m of gpt-6-luna"),
        ("openai", "text-embedding-3-small", "default", "base", "output", "2026-11-20", "output of text-embedding"),
        ("openai", "gpt-6-luna", "default", "base", "audio", "2026-11-20", "audio of gpt-6-luna"),
        # Cached input that had no price until a day.
        ("openai", "gpt-5.5-cyber", "default", "base", "input_cached", "2026-10-18", "has no price on 2026-10-18"),
    ],
)
def test_what_has_no_price_of_its_own_is_unknown(  # noqa: PLR0917  the columns of the table above
    book, provider, model, tier, context, item, day, told
) -> None:
    with pytest.raises(PriceUnknown, match=told) as raised:
        book.rate(provider, cell(model, tier, day, context), item)
    assert "file of prices" in raised.value.hint


def test_the_package_alone_would_bill_an_unknown_tier_as_standard() -> None:
    # Why the book looks variants up itself: should this fail, the package has become strict.
    usage, when = Usage(output_tokens=MILLION), dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    prices = [
        calc_price(usage, "gpt-6-luna", genai_request_timestamp=when, price_context=context).total_price
        for context in (None, {"service_tier": "scale"})
    ]
    assert prices[0] == prices[1]


@pytest.mark.parametrize(
    ("provider", "model", "tier", "item", "price"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", "standard", "output", "5"),
        ("openai", "gpt-6-luna-2026-09-22", "flex", "output", "0.25"),
        ("openai", "gpt-4o-mini", "priority", "input_cached", "0.125"),
        ("anthropic", "claude-sonnet-4-20250514", "standard", "output", "15"),
        ("openai", "gpt-5-nano-2025-08-07", "default", "output", "0.4"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::8f3d", "default", "output", "1.2"),
        ("anthropic", "claude-opus-5-5", "batch", "output", "10"),
        ("openai", "gpt-4.1", "batch", "output", "4"),
        # Paid by a commitment: the list price is the standard one.
        ("anthropic", "claude-sonnet-5-5", "priority", "cache_write_1h", "4"),
    ],
)
def test_dated_names_and_other_tiers_have_prices_of_their_own(  # noqa: PLR0917  the columns of the table above
    book, provider, model, tier, item, price
) -> None:
    assert book.rate(provider, cell(model, tier), item) * MILLION == Decimal(price)


def test_a_price_holds_from_midnight_of_its_day(book) -> None:
    last, first = (
        book.rate("anthropic", cell("claude-sonnet-5-5", "standard", *when), "input_cached") * MILLION
        for when in (("2026-10-06", "", 23), ("2026-10-07", "", 0))
    )
    assert (last, first) == (Decimal("0.2"), Decimal("0.1"))
    before, after = (
        book.rate("openai", cell("o3", "default", day), "output") * MILLION for day in ("2025-06-09", "2025-06-10")
    )
    assert (before, after) == (40, 8)


def test_priority_of_anthropic_had_the_standard_price_of_its_day_too(book) -> None:
    assert book.rate("anthropic", cell("claude-sonnet-5-5", "priority", "2026-10-01"), "input_cached") * 10**7 == 2


def test_other_prices_of_the_same_thing_are_told_with_the_day_from_which_they_hold(book) -> None:
    at = {day: cell("claude-sonnet-5-5", "standard", day) for day in ("2026-10-01", "2026-10-20")}
    assert book.other_rates("anthropic", at["2026-10-01"], "input_cached") == (("2026-10-07", Decimal("1E-7")),)
    assert book.other_rates("anthropic", at["2026-10-20"], "input_cached")[0] == ("2026-09-01", Decimal("2E-7"))
    assert book.other_rates("anthropic", at["2026-10-01"], "output") == ()


def test_long_prompts_have_a_rate_of_their_own_where_the_list_says_so(book) -> None:
    for model, tier, base, long in (
        ("claude-haiku-5-5", "standard", "0.5", "2.5"),
        ("claude-haiku-5-5", "batch", "0.25", "1.25"),
        ("claude-opus-5-5", "standard", "20", "20"),
    ):
        rates = [book.rate("anthropic", cell(model, tier, context=each), "output") for each in ("", "base", "long")]
        assert [rate * MILLION for rate in rates] == [Decimal(base), Decimal(base), Decimal(long)]


def test_the_threshold_is_that_of_the_day(book) -> None:
    above = [book.long_context_above("anthropic", "claude-sonnet-4-6", dt.date(2026, 3, day)) for day in (12, 13)]
    assert above == [200_000, None]
    with pytest.raises(PriceUnknown, match="gpt-7"):
        book.long_context_above("openai", "gpt-7")


def test_a_search_costs_the_same_at_every_tier(book) -> None:
    for tier in ("standard", "priority", "batch"):
        assert book.rate("anthropic", cell("claude-haiku-5-5", tier, context="long"), "web_searches") == Decimal("0.01")


def test_prices_are_the_pinned_ones_whatever_was_fetched() -> None:
    threads = set(threading.enumerate())
    genai_prices.data_snapshot.set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
    try:
        assert load_prices(None).rate("openai", cell("gpt-6-luna", "default"), "output") * MILLION == Decimal("0.5")
    finally:
        genai_prices.data_snapshot.set_custom_snapshot(None)
    assert set(threading.enumerate()) == threads


def test_the_version_names_the_package_and_the_file(tmp_path) -> None:
    versions = {load_prices(None).version, load_prices(OWN).version, written(tmp_path, entry()).version}
    assert len(versions) == 3
    assert all(version.startswith("genai-prices 0.2.3") for version in versions)


def test_a_price_of_our_own_goes_before_the_list_s_while_it_holds(tmp_path) -> None:
    book = written(
        tmp_path, entry() + entry(**{"from": "2026-06-01", "until": "2026-11-01", "prices": "{ output = 7.5 }"})
    )
    prices = [
        book.rate("anthropic", cell("claude-sonnet-5-5", "standard", day), "output") * MILLION
        for day in ("2025-12-31", "2026-05-31", "2026-06-01", "2026-11-01")
    ]
    assert prices == [10, 9, Decimal("7.5"), 9]


def test_a_price_agreed_for_short_prompts_does_not_price_long_ones(tmp_path) -> None:
    book = written(tmp_path, entry(model="'claude-haiku-5-5'", prices="{ output = 0.4 }"))
    assert book.rate("anthropic", cell("claude-haiku-5-5", "standard"), "output") * MILLION == Decimal("0.4")
    assert book.rate("anthropic", cell("claude-haiku-5-5", "standard", context="long"), "input_uncached") * 10**7 == 5
    with pytest.raises(PriceUnknown, match="for long prompts"):
        book.rate("anthropic", cell("claude-haiku-5-5", "standard", context="long"), "output")


def test_a_model_that_only_the_file_knows_has_its_prices_and_its_threshold(tmp_path) -> None:
    own = {"provider": "'openai'", "model": "'ours'", "tier": "'default'"}
    book = written(tmp_path, entry(**own) + entry(**own, context="'long'", above="64_000", prices="{ output = 18 }"))
    prices = [book.rate("openai", cell("ours", "default", context=each), "output") * MILLION for each in ("", "long")]
    assert prices == [9, 18]
    assert book.long_context_above("openai", "ours", dt.date(2026, 11, 1)) == 64_000
    assert book.other_rates("openai", cell("ours", "default"), "output") == ()
    with pytest.raises(PriceUnknown, match="input_cached of ours"):
        book.rate("openai", cell("ours", "default"), "input_cached")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prices = 7", "cannot be read as prices"),
        ("[[prices]", "cannot be read as prices"),
        (entry(provider="'google'"), "provider"),
        (entry(tier=None), "tier"),
        (entry(region="'eu'"), "region"),
        (entry(prices="{ outputs = 9.0 }"), "'outputs' is no class"),
        (entry(prices="{ output = -1 }"), "greater than or equal to 0"),
        (entry(prices="{ output = nan }"), "finite number"),
        (entry(prices="{}"), "at least 1 item"),
        (entry(until="2026-01-01"), "it never holds"),
        (entry(above="5"), "threshold"),
        (entry() + entry(), "two prices of output of claude-sonnet-5-5 at tier standard hold on 2026-01-01"),
        # With an entry for another class in between.
        (
            entry(until="2026-09-01")
            + entry(**{"from": "2026-02-01", "prices": "{ input_cached = 1 }"})
            + entry(**{"from": "2026-08-31"}),
            "two prices of output of claude-sonnet-5-5 at tier standard hold on 2026-08-31",
        ),
    ],
)
def test_a_file_that_is_not_clear_is_refused(tmp_path, text, told) -> None:
    with pytest.raises(PricesUnusable, match=told):
        written(tmp_path, text)


def test_a_missing_file_is_refused_by_its_name(tmp_path) -> None:
    with pytest.raises(PricesUnusable, match=r"nowhere\.toml cannot be read as prices"):
        load_prices(tmp_path / "nowhere.toml")


def test_no_price_holds_before_the_first_begins_nor_by_the_hour_of_the_day() -> None:
    price = ModelPrice(output_mtok=Decimal(9))
    for constraint in (StartDateConstraint(dt.date(2026, 11, 1)), TimeOfDateConstraint(dt.time(8), dt.time(20))):
        model = ModelInfo("m", ClauseEquals("m"), prices=[ConditionalPrice(constraint, prices=price)])
        assert model.get_prices(dt.datetime(2026, 10, 31, 9, tzinfo=dt.UTC)) == price
        assert _standard(model, dt.date(2026, 10, 31)) is None
    model = ModelInfo("m", ClauseEquals("m"), prices=[ConditionalPrice(prices=price)])
    assert _standard(model, dt.date(2026, 10, 31)) == price
