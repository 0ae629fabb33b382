"""Causes planted into a generated month: what the ledger entered, what the provider billed, and the dollars of each cause.

The truth is the generated month (`replica.providers month`). A row of it is struck by one cause of quantity at the most, so
that its dollars are beyond dispute; cells, lines and days are struck by many, and by those of the rates over them.
Nothing here is shared with what is measured: the prices are the twins' own.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

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


def plant(database: duckdb.DuckDBPyConnection, truth: Path, seed: int, *, clean: bool) -> None:
    """Views `billed` and `entered` over the month in *truth*; *clean*: nothing is planted but what the month itself has."""
    database.execute(
        f"CREATE OR REPLACE MACRO chance(i, salt) AS (hash(i, salt, {seed}) >> 11)::DOUBLE / 9007199254740992.0"
    )
    database.read_parquet(str(truth / "attempts" / "*.parquet")).create_view("truth", replace=True)
    database.execute(_STRUCK.format(cause="''" if clean else _cause()))
    database.execute(_BILLED)
    database.execute(_ENTERED)


def _cause() -> str:
    fits = {
        "past_gateway": "outcome = 'completed'",
        "cache_split": "cache_read > 0",
        "cache_write_life": "cache_write_1h > 0",
        "boundary_shift": f"epoch(arrived_at) % 3600 < {SHIFT_SECONDS}",
        "served_tier": "provider = 'openai' AND tier_served = 'default' AND endpoint = 'chat.completions' AND model_served LIKE 'gpt-6%'",
        "billed_model": "model_served = 'gpt-6.1-sol'",
        "stated_twice": "true",
        "web_search": "web_searches > 0",
        "long_context": "NOT long_context AND model_served IN ('gpt-6.1-sol', 'claude-haiku-5-5') AND prompt > 8000",
        "commitment": "provider = 'anthropic' AND model_served = 'claude-sonnet-5-5' AND web_searches = 0",
    }
    branches = "".join(
        f"WHEN chance(seq, {salt}) < {share} AND {fits[name]} THEN '{name}' "
        for salt, (name, share) in enumerate(SHARES.items(), 100)
    )
    return f"CASE WHEN NOT billed OR outcome <> 'completed' THEN '' {branches}ELSE '' END"


_STRUCK = """
CREATE OR REPLACE VIEW struck AS
SELECT *, {cause} AS cause FROM (
    SELECT *, input_uncached + cache_read + cache_write_5m + cache_write_1h + cache_write_30m AS prompt FROM truth
)
"""

# What the provider has. The truth's own row, but for causes that lie with the provider.
_BILLED = f"""
CREATE OR REPLACE VIEW billed AS
SELECT epoch(date_trunc('hour', arrived_at))::BIGINT AS hour, epoch(date_trunc('minute', arrived_at))::BIGINT AS minute, seq, cause, provider, account, project,
    CASE WHEN cause = 'past_gateway' THEN '{STRAY}' ELSE key_id END AS key_id, endpoint,
    CASE WHEN cause = 'billed_model' THEN 'gpt-6-sol' ELSE model_served END AS model,
    CASE cause WHEN 'commitment' THEN 'priority' ELSE tier_served END AS tier,
    long_context OR cause = 'long_context' AS long_context,
    input_uncached, cache_read, cache_write_5m, cache_write_1h, cache_write_30m, output, web_searches,
    CASE WHEN cause = 'stated_twice' THEN 2 ELSE 1 END AS times
FROM struck WHERE billed
"""

# What the gateway entered, as the ledger's sealed hours have it.
_ENTERED = f"""
CREATE OR REPLACE VIEW entered AS
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
        CASE WHEN cause = 'boundary_shift' THEN arrived_at - INTERVAL {SHIFT_SECONDS} SECOND ELSE arrived_at END AS entered_at
    FROM (SELECT *, billed AND outcome IN ('abandoned', 'truncated') AS is_guess FROM struck)
) WHERE cause <> 'past_gateway'
"""
