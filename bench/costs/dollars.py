"""The dollars of each planted cause, by account, day and project: at the twins' prices, row by row of the truth."""

# ruff: noqa: S608  Queries are made of names and figures of the bench itself.

from __future__ import annotations

from decimal import Decimal

import duckdb

from bench.costs.planted_prices import (
    CHANGED,
    DISCOUNT,
    DISCOUNT_DAYS,
    DISCOUNTED,
    EARLIER,
    LATER,
    MULTIPLIER,
    REGIONAL,
    REGIONAL_DAYS,
    PlantedPrices,
)
from bench.costs.planting import STRAY
from replica.providers.billing.usage import DAY
from replica.providers.catalogue import find

SEARCH = "0.01"
Key = tuple[str, str, int, str]
"""Cause, account, days since 1970, project."""


def planted_dollars(database: duckdb.DuckDBPyConnection, prices: PlantedPrices) -> dict[Key, Decimal]:
    """What each cause makes the bill differ from the ledger by; below a cent in all it is none."""
    _lay_rates(database, prices)
    rows = database.execute(_DOLLARS).fetchall()
    return {(cause, account, int(day), project): amount for cause, account, day, project, amount in rows if amount}


def _lay_rates(database: duckdb.DuckDBPyConnection, prices: PlantedPrices) -> None:
    names = ("input", "cached", "cache_write_5m", "cache_write_1h", "cache_write_30m", "output")
    columns = ", ".join(f"{name} DECIMAL(38,12)" for name in names)
    database.execute(
        f"CREATE OR REPLACE TABLE rates (provider VARCHAR, model VARCHAR, tier VARCHAR, day BIGINT, long_context BOOLEAN, {columns})"
    )
    database.execute("CREATE OR REPLACE TABLE long_prompts (model VARCHAR, above BIGINT)")
    above = [(model, found.long_tokens) for provider, model, _ in prices.known() if (found := find(provider, model))]
    database.executemany("INSERT INTO long_prompts VALUES (?, ?)", sorted({each for each in above if each[1]}))
    told = {day for (day,) in database.execute(f"SELECT DISTINCT minute // {DAY} FROM sums").fetchall()}
    days = sorted(told | {day + LATER for day in told})
    rows = [
        (*name, day, long, *(rates.get(each, Decimal(0)) for each in names))
        for name in [(p, m, t) for p, m, t in prices.known()]
        for day in days
        for long in (False, True)
        for rates in [prices.listed(*name, day * DAY, long_context=long)]
    ]
    # Column by column: row by row takes longer than all the rest of a small month.
    columns = ", ".join("unnest(?)" for _ in range(5 + len(names)))
    database.execute(f"INSERT INTO rates SELECT {columns}", [list(column) for column in zip(*rows, strict=True)])


def _worth(alias: str, rates: str) -> str:
    """Of a row's tokens, at the rates of an alias."""
    pairs = (
        ("input_uncached", "input"),
        ("cache_read", "cached"),
        ("cache_write_5m", "cache_write_5m"),
        ("cache_write_1h", "cache_write_1h"),
        ("cache_write_30m", "cache_write_30m"),
        ("output", "output"),
    )
    return "(" + " + ".join(f"{alias}.{column} * {rates}.{rate}" for column, rate in pairs) + ")"


def _rates(alias: str, model: str, tier: str, long_context: str, day: str = "") -> str:
    return (
        f"JOIN rates {alias} ON {alias}.provider = s.provider AND {alias}.model = {model} AND {alias}.tier = {tier} "
        f"AND {alias}.long_context = {long_context} AND {alias}.day = {day or _DAY}"
    )


_DAY = f"epoch(date_trunc('day', s.arrived_at))::BIGINT // {DAY}"
_ENTERED_DAY = f"epoch(date_trunc('day', e.sent_at))::BIGINT // {DAY}"
_ROWS = f"""
    FROM few s JOIN entered_few e USING (seq)
    {_rates("own", "s.model_served", "s.tier_served", "s.long_context")}
"""
# A guess may be of a long prompt where the prompt is none.
_GUESS = (
    "(e.input_uncached * mine.input + e.input_cached * mine.cached + e.cache_write * mine.cache_write_30m "
    "+ e.cache_write_5m * mine.cache_write_5m + e.cache_write_1h * mine.cache_write_1h + e.output * mine.output)"
)
_IS_LONG = (
    "(e.input_uncached + e.input_cached + e.cache_write + e.cache_write_5m + e.cache_write_1h "
    "> coalesce((SELECT above FROM long_prompts l WHERE l.model = s.model_served), 1000000000000))"
)

_DOLLARS = f"""
SELECT cause, account, day, project, sum(amount)::DECIMAL(38,12) FROM (
    SELECT CASE WHEN b.key_id = '{STRAY}' THEN 'past_gateway' ELSE 'stated_twice' END AS cause, b.account, b.minute // {DAY} AS day,
        b.project, ({_worth("b", "r")} + b.web_searches * {SEARCH}) * (b.times - (b.key_id <> '{STRAY}')::INTEGER) AS amount
      FROM billed b JOIN rates r ON r.provider = b.provider AND r.model = b.model AND r.tier = b.tier
       AND r.long_context = b.long_context AND r.day = b.minute // {DAY} WHERE b.times > 1 OR b.key_id = '{STRAY}'
    UNION ALL SELECT 'cache_split', s.account, {_DAY}, s.project, s.cache_read * (own.cached - own.input) {_ROWS} WHERE s.cause = 'cache_split'
    UNION ALL SELECT 'cache_write_life', s.account, {_DAY}, s.project, s.cache_write_1h * (own.cache_write_1h - own.cache_write_5m)
      {_ROWS} WHERE s.cause = 'cache_write_life'
    UNION ALL SELECT 'boundary_shift', s.account, {_DAY}, s.project, {_worth("s", "own")} + s.web_searches * {SEARCH} {_ROWS} WHERE s.cause = 'boundary_shift'
    UNION ALL SELECT 'boundary_shift', s.account, {_ENTERED_DAY}, s.project, -{_worth("s", "earlier")} - s.web_searches * {SEARCH}
      {_ROWS} {_rates("earlier", "s.model_served", "s.tier_served", "s.long_context", _ENTERED_DAY)} WHERE s.cause = 'boundary_shift'
    UNION ALL SELECT s.cause, s.account, {_DAY}, s.project, {_worth("s", "own")} - {_worth("s", "other")}
      {_ROWS} {_rates("other", "s.model_served", "'priority'", "s.long_context")} WHERE s.cause = 'served_tier'
    UNION ALL SELECT s.cause, s.account, {_DAY}, s.project, {_worth("s", "other")} - {_worth("s", "own")}
      {_ROWS} {_rates("other", "'gpt-6-sol'", "s.tier_served", "s.long_context")} WHERE s.cause = 'billed_model'
    UNION ALL SELECT s.cause, s.account, {_DAY}, s.project, {_worth("s", "other")} - {_worth("s", "own")}
      {_ROWS} {_rates("other", "s.model_served", "s.tier_served", "true")} WHERE s.cause = 'long_context'
    UNION ALL SELECT s.cause, s.account, {_DAY}, s.project, -{_worth("s", "own")} {_ROWS} WHERE s.cause = 'commitment'
    UNION ALL SELECT 'unknown_attempts', s.account, {_DAY}, s.project, {_worth("s", "own")} {_ROWS} WHERE s.outcome = 'dropped' AND s.billed
    UNION ALL SELECT 'estimated_streams', s.account, {_DAY}, s.project, {_worth("s", "own")} - {_GUESS}
      {_ROWS} {_rates("mine", "s.model_served", "s.tier_served", _IS_LONG)} WHERE e.is_estimate
    UNION ALL SELECT 'web_search', s.account, {_DAY}, s.project, s.web_searches * {SEARCH} {_ROWS}
      WHERE s.billed AND s.web_searches > coalesce(e.web_searches, 0)
) GROUP BY ALL
"""


def rate_dollars(database: duckdb.DuckDBPyConnection, begin: int) -> dict[Key, Decimal]:
    """What prices that no list has make of what was billed. After `planted_dollars`, which lays the rates."""
    first = begin // DAY
    asked = (
        ("price_change", CHANGED[0], EARLIER, "b.cache_read * (r.cached - later.cached) * -1"),
        ("regional_rate", REGIONAL, REGIONAL_DAYS, f"{_worth('b', 'r')} * {MULTIPLIER - 1}"),
        ("discount", None, DISCOUNT_DAYS, f"{_worth('b', 'r')} * -{DISCOUNT}"),
    )
    found: dict[Key, Decimal] = {}
    for cause, model, days, amount in asked:
        where = f"b.model = '{model}'" if model else f"b.provider = '{DISCOUNTED}'"
        rows = database.execute(
            f"SELECT account, b.minute // {DAY}, project, sum({amount})::DECIMAL(38,12) FROM sums b "
            f"JOIN rates r ON r.provider = b.provider AND r.model = b.model AND r.tier = b.tier AND r.day = b.minute // {DAY} "
            "AND r.long_context = b.long_context "
            "LEFT JOIN rates later ON later.provider = b.provider AND later.model = b.model AND later.tier = b.tier "
            f"AND later.day = r.day + {LATER} AND later.long_context = b.long_context "
            f"WHERE {where} AND NOT (b.provider = 'anthropic' AND b.tier = 'priority') "
            f"AND b.minute // {DAY} BETWEEN {first + days.start} AND {first + days.stop - 1} GROUP BY ALL"
        ).fetchall()
        found |= {(cause, account, int(day), project): value for account, day, project, value in rows if value}
    return found
