"""A generated span of attempts in two versions: what the providers bill, and what the gateway's ledger has.

The truth is the twins' generator of months (`replica.providers.month_attempts`). They differ as they do in life: a stream that
was given up is a guess in the ledger, of an attempt that nobody heard of it knows nothing, and some incidents happened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from demo.costs.incidents import ACCOUNTS, STRAY, Incident, striking
from replica.providers import month_attempts
from steward.ai.sealing import HOUR, Figures
from steward.ai.usage import CLASSES
from steward.clients.attempts_parquet import COLUMNS
from steward.costs.kept import RegisteredKey


@dataclass(frozen=True)
class Span:
    """Whole UTC days, one after the other."""

    first: dt.date
    days: int

    @property
    def begin(self) -> dt.datetime:
        """Of the first day."""
        return dt.datetime.combine(self.first, dt.time(), dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """Of the last one."""
        return self.begin + dt.timedelta(days=self.days)

    @classmethod
    def of_month(cls, month: str) -> Span:
        """YYYY-MM."""
        first = dt.date.fromisoformat(f"{month}-01")
        return cls(first, ((first + dt.timedelta(days=31)).replace(day=1) - first).days)


class Sides:
    """Both, in memory; the same arguments and the same version of DuckDB make the same."""

    def __init__(
        self, span: Span, attempts: int, seed: int, incidents: Sequence[Incident], tenants: Sequence[str]
    ) -> None:
        self.span, self.attempts = span, attempts
        self._db = duckdb.connect(config={"threads": 1})
        self._db.execute("SET timezone = 'UTC'")
        self._db.execute(month_attempts.macro(seed))
        self._db.execute(f"CREATE TABLE truth AS {_truth(span, attempts, seed)}")
        self._db.execute("CREATE TABLE accounts (twin VARCHAR, account VARCHAR)")
        self._db.executemany("INSERT INTO accounts VALUES (?, ?)", [*ACCOUNTS.items()])
        self._db.execute(_STRUCK.format(cause=striking(incidents, span.first)))
        self._db.execute(_ENTERED, {"tenants": list(tenants)})

    def close(self) -> None:
        """Let its memory go."""
        self._db.close()

    def write_usage(self, folder: Path) -> None:
        """What the providers bill, as the twins take it in (`POST /admin/months`)."""
        folder.mkdir(parents=True, exist_ok=True)
        self._db.execute(f"COPY ({_USAGE}) TO '{folder / 'usage.parquet'}' (FORMAT parquet)")

    def gateway_keys(self) -> list[RegisteredKey]:
        """By which the gateway asked, as the register has them."""
        rows = self._db.execute(_KEYS).fetchall()
        return [RegisteredKey(account=a, fingerprint=f, key_id=k, project=p) for a, f, k, p in rows]

    def write_hours(self, hours: Iterable[dt.datetime], folder: Path) -> Iterator[tuple[dt.datetime, bytes]]:
        """The ledger's file of each of *hours*, as sealing would have written it."""
        file = folder / "hour.parquet"
        for hour in hours:
            query = _HOUR.format(hour=int(hour.timestamp()))
            self._db.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
            yield hour, file.read_bytes()

    def figures(self) -> dict[dt.datetime, dict[str, Figures]]:
        """By hour and state: how many attempts, and their tokens. Hours without any are not there."""
        found: dict[dt.datetime, dict[str, Figures]] = {}
        for hour, state, rows, *sums in self._db.execute(_FIGURES).fetchall():
            at = dt.datetime.fromtimestamp(hour, dt.UTC)
            found.setdefault(at, {})[state] = Figures(rows=rows, sums=dict(zip(CLASSES, sums, strict=True)))
        return found


def hours_between(first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    """*last* is one of them."""
    return [first + number * HOUR for number in range(int((last - first) / HOUR) + 1)]


def _truth(span: Span, attempts: int, seed: int) -> str:
    start, seconds = int(span.begin.timestamp()), int((span.end - span.begin).total_seconds())
    return month_attempts.query(first=0, last=attempts, attempts=attempts, seed=seed, start=start, seconds=seconds)


_STRUCK = """
CREATE TABLE struck AS
SELECT *, {cause} AS cause, input_uncached + cache_read + cache_write_5m + cache_write_1h + cache_write_30m AS prompt,
       billed AND outcome IN ('abandoned', 'truncated') AS is_guess,
       hash(seq, 91) % 20 AS unseen, hash(seq, 92) AS drawn
  FROM truth
"""

# In the order of `Usage`: by the minute, as the twins know what happened at them.
_USAGE = f"""
SELECT epoch(date_trunc('minute', arrived_at))::BIGINT AS start, provider, account, project,
       CASE WHEN cause = 'past_gateway' THEN '{STRAY}' ELSE key_id END AS key_id, endpoint, model_served,
       CASE WHEN cause = 'served_tier' THEN 'priority' ELSE tier_served END AS tier_served, long_context,
       count(*) AS requests, sum(input_uncached)::BIGINT AS input_uncached, sum(cache_read)::BIGINT AS cache_read,
       sum(cache_write_5m)::BIGINT AS cache_write_5m, sum(cache_write_1h)::BIGINT AS cache_write_1h,
       sum(cache_write_30m)::BIGINT AS cache_write_30m, sum(output)::BIGINT AS output,
       sum(web_searches)::BIGINT AS web_searches, 0.0::DOUBLE AS visible_at
  FROM struck WHERE billed GROUP BY ALL ORDER BY ALL
"""  # noqa: S608  this module's own words

# Of an OpenAI stream that was given up nobody told even the prompt: its reservation is the guess.
_ENTERED = """
CREATE TABLE entered AS
SELECT client_request_id AS id, client_request_id AS request, 1::SMALLINT AS ordinal,
       '00000000-0000-0000-0000-000000000001'::UUID AS worker,
       $tenants[(1 + drawn % len($tenants))::BIGINT] AS tenant, NULL::VARCHAR AS project, 'demo' AS key_id, provider,
       a.account, substr(sha256(s.key_id), 1, 16) AS credential_version,
       CASE WHEN endpoint = 'embeddings' THEN 'embeddings' ELSE 'chat' END AS alias, model_asked,
       nullif(tier_asked, '') AS tier_asked, stream AS is_stream, reserved AS reserved_input,
       CASE WHEN endpoint = 'embeddings' THEN 0 ELSE 4096 + output END::BIGINT AS reserved_output, state,
       sent_at AS reserved_at, sent_at, CASE WHEN state = 'unknown' THEN settled_at END AS unknown_at,
       CASE WHEN state = 'settled' THEN settled_at END AS settled_at,
       CASE outcome WHEN 'abandoned' THEN 'cancelled' WHEN 'truncated' THEN 'truncated' WHEN 'dropped' THEN 'cut'
           WHEN 'completed' THEN 'completed' ELSE 'refused' END AS ending,
       nullif(status, 0)::SMALLINT AS http_status, NULL::VARCHAR AS error_class, request_id AS provider_request_id,
       NULL::VARCHAR AS repeated_request_id,
       CASE WHEN state = 'settled' THEN nullif(model_served, '') END AS model_served,
       CASE WHEN state = 'settled' THEN nullif(tier_served, '') END AS tier_served,
       NULL::VARCHAR AS prices_version, (80 + drawn % 400)::INTEGER AS first_token_ms, milliseconds AS latency_ms,
       CASE WHEN settled THEN CASE WHEN is_blind THEN reserved
           WHEN cause = 'cache_split' THEN input_uncached + cache_read ELSE input_uncached END END::BIGINT AS input_uncached,
       CASE WHEN settled THEN CASE WHEN is_blind OR cause = 'cache_split' THEN 0 ELSE cache_read END END::BIGINT AS input_cached,
       CASE WHEN settled THEN CASE WHEN is_blind THEN 0 ELSE cache_write_30m END END::BIGINT AS cache_write,
       CASE WHEN settled THEN CASE WHEN is_blind THEN 0
           WHEN cause = 'cache_write_life' THEN cache_write_5m + cache_write_1h ELSE cache_write_5m END END::BIGINT AS cache_write_5m,
       CASE WHEN settled THEN CASE WHEN is_blind OR cause = 'cache_write_life' THEN 0 ELSE cache_write_1h END END::BIGINT AS cache_write_1h,
       CASE WHEN settled THEN seen END::BIGINT AS output, CASE WHEN settled THEN least(reasoning, seen) END::BIGINT AS reasoning,
       CASE WHEN settled THEN 0 END::BIGINT AS audio_input, CASE WHEN settled THEN 0 END::BIGINT AS audio_output,
       CASE WHEN settled THEN CASE WHEN is_guess OR cause = 'web_search' THEN 0 ELSE web_searches END END::BIGINT AS web_searches,
       CASE WHEN settled THEN 0 END::BIGINT AS web_fetches, is_guess AS is_estimate,
       CASE WHEN is_guess THEN CASE WHEN is_blind THEN 0 ELSE prompt END END::BIGINT AS input_low,
       CASE WHEN is_guess THEN CASE WHEN is_blind THEN reserved ELSE prompt END END::BIGINT AS input_high,
       CASE WHEN is_guess THEN seen END::BIGINT AS output_low, CASE WHEN is_guess THEN 4096 + output END::BIGINT AS output_high,
       epoch(date_trunc('hour', sent_at))::BIGINT AS sealed
  FROM (
      SELECT *, outcome <> 'dropped' AS settled, CASE WHEN outcome = 'dropped' THEN 'unknown' ELSE 'settled' END AS state,
             (prompt * 1.2)::BIGINT + 50 AS reserved, is_guess AND provider = 'openai' AS is_blind,
             CASE WHEN is_guess THEN greatest(0, output - unseen::BIGINT) ELSE output END AS seen,
             -- On their way for some milliseconds.
             arrived_at::TIMESTAMPTZ - to_milliseconds(2 + (drawn % 30)::BIGINT) AS sent_at,
             (300 + 8 * output)::INTEGER AS milliseconds,
             arrived_at::TIMESTAMPTZ + to_milliseconds((300 + 8 * output)::BIGINT) AS settled_at
        FROM struck WHERE cause <> 'past_gateway'
  ) s JOIN accounts a ON a.twin = s.account
"""

_HOUR = f"SELECT {', '.join(COLUMNS)} FROM entered WHERE sealed = {{hour}} ORDER BY reserved_at, id"  # noqa: S608  as above

_KEYS = """
SELECT DISTINCT a.account, substr(sha256(key_id), 1, 16), key_id, project
  FROM truth JOIN accounts a ON a.twin = truth.account ORDER BY ALL
"""

_FIGURES = f"""
SELECT sealed, state, count(*), {", ".join(f"coalesce(sum({name}), 0)::BIGINT" for name in CLASSES)}
  FROM entered GROUP BY ALL ORDER BY ALL
"""  # noqa: S608  the ledger's own names
