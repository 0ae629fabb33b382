"""A price begins on its day, and what has none is an error."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from replica.providers.billing.prices import Prices
from replica.providers.catalogue import models
from replica.providers.errors import ConfigurationUnfit, UnknownPrice


def _at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


def test_a_price_begins_at_midnight_utc() -> None:
    prices = Prices()
    before, after = (
        prices.rates("anthropic", "claude-sonnet-5-5", "standard", _at(moment), long_context=False)["cached"]
        for moment in ("2026-10-06T23:59:59", "2026-10-07T00:00:00")
    )
    assert (before, after) == (Decimal("0.0000002"), Decimal("0.0000001"))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_every_model_has_a_price_for_long_prompts_where_it_has_a_threshold(provider) -> None:
    prices, tier = Prices(), "default" if provider == "openai" else "standard"
    for model in models(provider):
        short, long = (
            prices.rates(provider, model.name, tier, _at("2026-10-31"), long_context=long_context)["input"]
            for long_context in (False, True)
        )
        assert (long > short) == (model.long_tokens is not None)


@pytest.mark.parametrize(
    ("model", "tier", "day"),
    [
        ("gpt-0", "default", "2026-10-01"),
        ("gpt-6-luna", "scale", "2026-10-01"),
        ("gpt-6-luna", "default", "2020-01-01"),
    ],
)
def test_what_has_no_price_is_an_error_and_never_the_standard_rate(model, tier, day) -> None:
    with pytest.raises(UnknownPrice, match=f"no price for openai {model} in tier '{tier}' on {day}"):
        Prices().rates("openai", model, tier, _at(day), long_context=False)


def test_a_table_that_cannot_be_read_is_refused(tmp_path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("[[prices]]\nprovider = 'openai'\n")
    with pytest.raises(ConfigurationUnfit, match="no table of prices"):
        Prices(file)
