"""Causes planted into a generated month: what the ledger entered, what the provider billed, and the dollars of each cause.

The truth is the generated month (`replica.providers month`). A row of it is struck by one cause of quantity at the most, so
that its dollars are beyond dispute; cells, lines and days are struck by many, and by those of the rates over them. An hour that
is stated twice has each of its rows once more, as the provider billed it, whatever else struck the row.
Nothing here is shared with what is measured: the prices are the twins' own.
"""

# ruff: noqa: S608  Queries are made of names and figures of the bench itself.

from __future__ import annotations

import duckdb

from bench.costs.incidents import SKEW_SECONDS, SKEWED, STATED_TWICE, STRIKING, any_of

#: Of the attempts that were answered: what happens to how many of them.
SHARES = {
    "past_gateway": 0.004,
    "cache_split": 0.02,
    "cache_write_life": 0.02,
    "boundary_shift": 0.05,
    "served_tier": 0.004,
    "billed_model": 0.004,
    "stated_twice": 0.0001,
    "web_search": 0.3,
    "long_context": 0.002,
    "commitment": 0.004,
}
#: Attempts so near to their hour's beginning may be entered in the one before.
SHIFT_SECONDS = 30
STRAY = "key_stray"
#: Streams that were given up wrote so many tokens more than anybody saw, at the most.
UNSEEN = 20


def plant(database: duckdb.DuckDBPyConnection, seed: int, begin: int, *, clean: bool) -> None:
    """Out of the table `truth`: tables `struck` and `few`, views `billed`, `entered` and `entered_few`; and `sums`, by
    the minute, of what was billed.

    `few` are the rows of which the two sides may differ. *begin*: the month's, as Unix time; *clean*: nothing is planted but
    what the month itself has.
    """
    database.execute(
        f"CREATE OR REPLACE MACRO chance(i, salt) AS (hash(i, salt, {seed}) >> 11)::DOUBLE / 9007199254740992.0"
    )
    database.execute(_STRUCK.format(cause="''" if clean else _cause(begin), **_in_time(begin, clean=clean)))
    database.execute(_FEW)
    database.execute(_BILLED)
    database.execute(_SUMS)
    database.execute(_entered("entered", "struck"))
    database.execute(_entered("entered_few", "few"))


def _in_time(begin: int, *, clean: bool) -> dict[str, str]:
    if clean:
        return {"twice": "false", "skewed": "false"}
    return {"twice": any_of(STATED_TWICE, begin), "skewed": any_of(SKEWED, begin)}


#: What a cause may strike.
_FITS = {
    "past_gateway": "outcome = 'completed'",
    "cache_split": "cache_read > 0",
    "cache_write_life": "cache_write_1h > 0",
    "boundary_shift": f"epoch(arrived_at) % 3600 < {SHIFT_SECONDS} AND NOT is_skewed",
    "served_tier": "provider = 'openai' AND tier_served = 'default' AND endpoint = 'chat.completions' AND model_served LIKE 'gpt-6%'",
    "billed_model": "model_served = 'gpt-6.1-sol'",
    "stated_twice": "true",
    "web_search": "web_searches > 0",
    "long_context": "NOT long_context AND model_served IN ('gpt-6.1-sol', 'claude-haiku-5-5') AND prompt > 8000",
    "commitment": "provider = 'anthropic' AND model_served = 'claude-sonnet-5-5' AND web_searches = 0",
}


def _cause(begin: int) -> str:
    sprinkled = "".join(
        f"WHEN chance(seq, {salt}) < {share} AND {_FITS[name]} THEN '{name}' "
        for salt, (name, share) in enumerate(SHARES.items(), 100)
    )
    struck = "".join(f"WHEN {each.told(begin)} AND {_FITS[each.cause]} THEN '{each.cause}' " for each in STRIKING)
    # The late clock's minute at midnight has no other cause, for its rows change their day.
    return (
        "CASE WHEN NOT billed OR outcome <> 'completed' THEN '' "
        f"WHEN is_skewed AND at_midnight THEN 'boundary_shift' {sprinkled}{struck}ELSE '' END"
    )


_STRUCK = """
CREATE OR REPLACE TABLE struck AS
SELECT *, {cause} AS cause FROM (
    SELECT *, input_uncached + cache_read + cache_write_5m + cache_write_1h + cache_write_30m AS prompt,
        {twice} AS is_twice, {skewed} AS is_skewed, epoch(arrived_at) % 86400 < 60 AS at_midnight
    FROM truth
)
"""
_FEW = """
CREATE OR REPLACE TABLE few AS SELECT * FROM struck
WHERE cause <> '' OR (billed AND outcome <> 'completed')
"""

# What the provider has. The truth's own row, but for causes that lie with the provider.
_BILLED = f"""
CREATE OR REPLACE VIEW billed AS
SELECT epoch(date_trunc('minute', arrived_at))::BIGINT AS minute, provider, account, project,
    CASE WHEN cause = 'past_gateway' THEN '{STRAY}' ELSE key_id END AS key_id, endpoint,
    CASE WHEN cause = 'billed_model' THEN 'gpt-6-sol' ELSE model_served END AS model,
    CASE cause WHEN 'commitment' THEN 'priority' ELSE tier_served END AS tier,
    long_context OR cause = 'long_context' AS long_context,
    input_uncached, cache_read, cache_write_5m, cache_write_1h, cache_write_30m, output, web_searches,
    (1 + (cause = 'stated_twice')::INTEGER) * (1 + is_twice::INTEGER) AS times
FROM struck WHERE billed
"""
_CLASSES = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "output",
    "web_searches",
)
_NAMES = "minute, provider, account, project, key_id, endpoint, model, tier, long_context"
# In the order of `Usage`.
_SUMS = f"""
CREATE OR REPLACE TABLE sums AS
SELECT {_NAMES}, sum(times)::BIGINT AS requests, {", ".join(f"sum({each} * times)::BIGINT AS {each}" for each in _CLASSES)}
FROM billed GROUP BY {_NAMES} ORDER BY account, minute
"""


def _entered(name: str, source: str) -> str:
    """What the gateway entered, as the ledger's sealed hours have it."""
    return f"""
CREATE OR REPLACE VIEW {name} AS
SELECT seq, cause, client_request_id AS id, client_request_id AS request, 1::SMALLINT AS ordinal,
    '00000000-0000-0000-0000-000000000001'::UUID AS worker, 'tenant-' || (1 + hash(seq) % 50) AS tenant, 'app' AS project,
    'caller-1' AS key_id, provider, account, 'v-' || key_id AS credential_version, 'default' AS alias, model_asked,
    nullif(tier_asked, '') AS tier_asked, stream AS is_stream, (prompt * 1.2)::BIGINT + 50 AS reserved_input,
    CASE WHEN endpoint = 'embeddings' THEN 0 ELSE 4096 + output END::BIGINT AS reserved_output, state,
    entered_at AS reserved_at, entered_at AS sent_at, CASE WHEN state = 'unknown' THEN entered_at END AS unknown_at,
    CASE WHEN state = 'settled' THEN entered_at END AS settled_at,
    outcome AS ending, status::SMALLINT AS http_status, NULL::VARCHAR AS error_class, request_id AS provider_request_id,
    NULL::VARCHAR AS repeated_request_id, nullif(model_served, '') AS model_served,
    CASE WHEN state = 'settled' AND billed THEN
        CASE cause WHEN 'served_tier' THEN 'priority' WHEN 'commitment' THEN 'priority' ELSE tier_served END END AS tier_served,
    'genai-prices' AS prices_version, 100::INTEGER AS first_token_ms, 1000::INTEGER AS latency_ms,
    CASE WHEN state = 'settled' THEN
        CASE WHEN NOT billed THEN 0 WHEN is_blind THEN reserved
            WHEN cause = 'cache_split' THEN input_uncached + cache_read ELSE input_uncached END END::BIGINT AS input_uncached,
    CASE WHEN state = 'settled' THEN
        CASE WHEN NOT billed OR is_blind OR cause = 'cache_split' THEN 0 ELSE cache_read END END::BIGINT AS input_cached,
    CASE WHEN state = 'settled' THEN CASE WHEN NOT billed OR is_blind THEN 0 ELSE cache_write_30m END END::BIGINT AS cache_write,
    CASE WHEN state = 'settled' THEN
        CASE WHEN NOT billed OR is_blind THEN 0
            ELSE cache_write_5m + CASE WHEN cause = 'cache_write_life' THEN cache_write_1h ELSE 0 END END END::BIGINT AS cache_write_5m,
    CASE WHEN state = 'settled' THEN
        CASE WHEN NOT billed OR is_blind OR cause = 'cache_write_life' THEN 0 ELSE cache_write_1h END END::BIGINT AS cache_write_1h,
    CASE WHEN state = 'settled' THEN CASE WHEN billed THEN seen ELSE 0 END END::BIGINT AS output,
    CASE WHEN state = 'settled' THEN 0 END::BIGINT AS reasoning, CASE WHEN state = 'settled' THEN 0 END::BIGINT AS audio_input,
    CASE WHEN state = 'settled' THEN 0 END::BIGINT AS audio_output,
    CASE WHEN state = 'settled' THEN CASE WHEN NOT billed OR is_guess OR cause = 'web_search' THEN 0 ELSE web_searches END END::BIGINT AS web_searches,
    CASE WHEN state = 'settled' THEN 0 END::BIGINT AS web_fetches,
    is_guess AS is_estimate, CASE WHEN is_guess THEN CASE WHEN is_blind THEN 0 ELSE prompt END END::BIGINT AS input_low,
    CASE WHEN is_guess THEN CASE WHEN is_blind THEN reserved ELSE prompt END END::BIGINT AS input_high,
    CASE WHEN is_guess THEN seen END::BIGINT AS output_low, CASE WHEN is_guess THEN 4096 + output END::BIGINT AS output_high
FROM (
    SELECT *, (prompt * 1.2)::BIGINT + 50 AS reserved, CASE WHEN outcome = 'dropped' THEN 'unknown' ELSE 'settled' END AS state,
        is_guess AND provider = 'openai' AS is_blind,
        CASE WHEN is_guess THEN greatest(0, output - floor(chance(seq, 91) * {UNSEEN})::BIGINT) ELSE output END AS seen,
        CASE WHEN is_skewed AND at_midnight = (cause = 'boundary_shift') THEN arrived_at - INTERVAL {SKEW_SECONDS} SECOND
            WHEN cause = 'boundary_shift' THEN arrived_at - INTERVAL {SHIFT_SECONDS} SECOND ELSE arrived_at END AS entered_at
    FROM (SELECT *, billed AND outcome IN ('abandoned', 'truncated') AS is_guess FROM {source})
) WHERE cause <> 'past_gateway'
"""
