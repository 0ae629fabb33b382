"""A month of attempts as one query over row numbers: every column is a function of the seed and the row.

Drawn by DuckDB's `hash`, so the same seed gives the same month with the same version of DuckDB, in any order and in any number
of pieces. What goes wrong is there in the shares of a bad month: throttled, failed, abandoned, truncated, dropped and billed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replica.providers.catalogue import Model, find


@dataclass(frozen=True, slots=True)
class _Share:
    """A model's share of the attempts, and where they come from."""

    share: float
    account: str
    model: str
    projects: int
    project: str
    mean_input: int
    mean_output: int


OPENAI, ANTHROPIC = "openai-main", "anthropic-main"
_SHARES = (
    _Share(0.22, OPENAI, "gpt-6-luna", 3, "proj_{}", 900, 220),
    _Share(0.14, OPENAI, "gpt-6.1-sol", 3, "proj_{}", 2600, 420),
    _Share(0.04, OPENAI, "gpt-6-sol", 2, "proj_{}", 2600, 420),
    _Share(0.05, OPENAI, "gpt-4.1-2025-04-14", 2, "proj_{}", 1400, 260),
    _Share(0.05, OPENAI, "gpt-4o-mini-2024-07-18", 2, "proj_{}", 700, 160),
    _Share(0.06, OPENAI, "text-embedding-3-small", 3, "proj_{}", 400, 0),
    _Share(0.18, ANTHROPIC, "claude-haiku-5-5", 3, "wrkspc_{}", 1500, 260),
    _Share(0.18, ANTHROPIC, "claude-sonnet-5-5", 3, "wrkspc_{}", 3200, 480),
    _Share(0.05, ANTHROPIC, "claude-opus-5-5", 2, "wrkspc_{}", 3800, 620),
    _Share(0.03, ANTHROPIC, "claude-haiku-4-5-20251001", 2, "wrkspc_{}", 900, 200),
)
# (share, outcome, status, billed). Abandoned streams pay for what was written; one in two dropped answers is billed all the same.
_OUTCOMES = (
    (0.9790, "completed", 200, True),
    (0.0050, "throttled", 429, False),
    (0.0050, "failed", 500, False),
    (0.0030, "refused", 400, False),
    (0.0040, "abandoned", 200, True),
    (0.0020, "truncated", 200, True),
    (0.0010, "dropped", 0, True),
    (0.0010, "dropped", 0, False),
)

#: Columns as in the truth that a running twin keeps, and `visible_at`: when the provider states it (NULL: never billed).
QUERY = """
WITH drawn AS (
    SELECT i,
        {model} AS m, {outcome} AS o,
        draw(i, 3) AS u_input, draw(i, 4) AS u_output, draw(i, 5) AS u_cache, draw(i, 6) AS u_tier, draw(i, 7) AS u_project,
        draw(i, 8) AS u_long, draw(i, 9) AS u_part, draw(i, 10) AS u_late, draw(i, 11) AS u_class, draw(i, 12) AS u_stream,
        draw(i, 13) AS u_search,
        (i + draw(i, 14)) * {seconds} / {attempts} AS since
    FROM range({first}, {last}) rows(i)
), placed AS (
    SELECT *,
        -- More by day than by night, and still in order.
        {start} + floor(since / 86400) * 86400
            + 86400 * ((since % 86400) / 86400 + sin(2 * pi() * (since % 86400) / 86400) / (4 * pi())) AS unix,
        least(m.context, 8 + floor(-ln(1 - u_input) * m.mean_input * CASE WHEN u_long < 0.002 THEN 60 ELSE 1 END))::BIGINT AS prompt,
        CASE WHEN m.mean_output = 0 THEN 0 ELSE least(m.most, 1 + floor(-ln(1 - u_output) * m.mean_output)) END::BIGINT AS written,
        -- Where the model is not sold at the tier that was drawn, none is asked for.
        CASE WHEN u_tier < 0.02 AND list_contains(m.tiers, 'priority') THEN 'priority'
            WHEN u_tier BETWEEN 0.02 AND 0.06 AND list_contains(m.tiers, 'flex') THEN 'flex' ELSE '' END AS tier_asked
    FROM drawn
), counted AS (
    SELECT *,
        CASE WHEN prompt < 1024 OR m.endpoint = 'embeddings' THEN 0 WHEN u_cache < 0.4 THEN (prompt * 8 // 10) // 128 * 128
            ELSE 0 END AS found,
        CASE WHEN prompt < 1024 OR u_cache < 0.4 OR u_cache >= 0.6 THEN 0 ELSE (prompt * 7 // 10) // 128 * 128 END AS kept,
        CASE WHEN o.outcome = 'abandoned' THEN floor(written * u_part)::BIGINT ELSE written END AS told
    FROM placed
)
SELECT i + 1 AS seq,
    'req_' || printf('%015x', i + 1) AS request_id,
    md5({seed}::VARCHAR || ':' || i::VARCHAR)::UUID AS client_request_id,
    m.provider AS provider, m.account AS account,
    replace(m.project, '{{}}', (1 + floor(u_project * m.projects))::INTEGER::VARCHAR) AS project,
    'key_' || m.provider || '_' || (1 + floor(u_project * m.projects))::INTEGER::VARCHAR AS key_id,
    m.endpoint AS endpoint, m.endpoint <> 'embeddings' AND u_stream < 0.6 AS stream,
    m.name AS model_asked, tier_asked,
    make_timestamp((unix * 1000000)::BIGINT) AS arrived_at,
    o.status AS status, o.outcome AS outcome,
    CASE WHEN billed THEN m.name ELSE '' END AS model_served,
    CASE WHEN NOT billed THEN '' WHEN m.provider = 'anthropic' THEN 'standard'
        -- One in twenty is served at another tier than it asked for.
        WHEN tier_asked = '' OR u_part < 0.05 THEN 'default' ELSE tier_asked END AS tier_served,
    CASE WHEN billed THEN prompt - found - CASE WHEN m.writes THEN kept ELSE 0 END ELSE 0 END AS input_uncached,
    CASE WHEN billed THEN found ELSE 0 END AS cache_read,
    CASE WHEN billed AND m.provider = 'anthropic' AND u_class < 0.8 THEN kept ELSE 0 END AS cache_write_5m,
    CASE WHEN billed AND m.provider = 'anthropic' AND u_class >= 0.8 THEN kept ELSE 0 END AS cache_write_1h,
    CASE WHEN billed AND m.provider = 'openai' AND m.writes THEN kept ELSE 0 END AS cache_write_30m,
    CASE WHEN billed THEN told ELSE 0 END AS output,
    CASE WHEN billed AND m.reasons THEN told // 2 ELSE 0 END AS reasoning,
    CASE WHEN billed AND m.provider = 'anthropic' AND u_search < 0.01 THEN 1 ELSE 0 END AS web_searches,
    billed AND prompt > m.long AS long_context,
    billed,
    -- A few are stated days later; a few more were stated twice at first.
    CASE WHEN billed THEN arrived_at + CASE WHEN u_late < 0.0002 THEN to_days((2 + floor(u_late * 90000))::INTEGER)
        ELSE INTERVAL 0 SECOND END END AS visible_at,
    billed AND u_late >= 0.9999 AS stated_twice
FROM (SELECT *, o.billed AS billed FROM counted)
"""


def query(*, first: int, last: int, attempts: int, seed: int, start: int, seconds: int) -> str:
    """Rows [first, last) of a month that has *attempts* in all."""
    return QUERY.format(
        model=_choice("draw(i, 1)", [each.share for each in _SHARES], [_model(each) for each in _SHARES]),
        outcome=_choice("draw(i, 2)", [each[0] for each in _OUTCOMES], [_outcome(*each[1:]) for each in _OUTCOMES]),
        first=first,
        last=last,
        attempts=attempts,
        seed=seed,
        start=start,
        seconds=seconds,
    )


def macro(seed: int) -> str:
    """The draw: uniform in [0, 1), by row and by what is drawn."""
    return f"CREATE OR REPLACE MACRO draw(i, salt) AS (hash(i, salt, {seed}) >> 11)::DOUBLE / 9007199254740992.0"


def _choice(drawn: str, shares: Sequence[float], values: Sequence[str]) -> str:
    reached, branches = 0.0, ""
    for share, value in zip(shares[:-1], values, strict=False):
        reached += share
        branches += f"WHEN {drawn} < {reached:.6f} THEN {value} "
    return f"CASE {branches}ELSE {values[-1]} END"


def _model(share: _Share) -> str:
    model = find(_provider(share), share.model)
    assert model  # noqa: S101 -- one of the catalogue's
    return _struct(share, model)


def _struct(share: _Share, model: Model) -> str:
    endpoint = "embeddings" if model.embedding else "chat.completions" if model.provider == "openai" else "messages"
    writes = model.writes_cache or model.provider == "anthropic"
    return (
        f"{{'provider': '{model.provider}', 'account': '{share.account}', 'name': '{model.name}', 'endpoint': '{endpoint}', "
        f"'project': '{share.project}', 'projects': {share.projects}, 'mean_input': {share.mean_input}, "
        f"'mean_output': {share.mean_output}, 'context': {model.context_tokens}, 'most': {model.output_tokens}, "
        f"'long': {model.long_tokens or 10**9}, 'writes': {writes}, 'reasons': {model.reasons}, "
        f"'tiers': {list(model.tiers)}::VARCHAR[]}}"
    )


def _outcome(outcome: str, status: int, billed: bool) -> str:
    return f"{{'outcome': '{outcome}', 'status': {status}, 'billed': {billed}}}"


def _provider(share: _Share) -> str:
    return "openai" if share.account == OPENAI else "anthropic"
