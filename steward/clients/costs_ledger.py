"""What the ledger has of a day, by DuckDB out of its sealed hours."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from steward.costs.cells import CLASSES, DAY, HOUR, Cell, Quantities
from steward.costs.values import Attempt, Entered, LedgerDay

MEMORY = "1GB"


class _Attempts:
    """Attempts in a table, by cells of one width."""

    def __init__(self, database: duckdb.DuckDBPyConnection, table: str) -> None:
        self._db, self._table = database, table
        self._entered: Sequence[Entered] | None = None

    @property
    def entered(self) -> Sequence[Entered]:
        """By cell, in order."""
        if self._entered is None:
            rows = self._db.execute(_ENTERED.format(table=self._table)).fetchall()
            self._entered = [_entered(row) for row in rows]
        return self._entered

    def attempts(self, cells: Collection[Cell]) -> Sequence[Attempt]:
        """The settled ones of these cells that used anything."""
        asked = _columns(Cell._fields, cells)
        rows = self._db.execute(_SETTLED.format(table=self._table), asked).fetchall()
        return [Attempt(Cell(*row[:7]), row[7], row[9:], row[8]) for row in rows]

    def by_minute(self, cells: Collection[Cell]) -> LedgerDay:
        """Of these hours alone; a cell without a context stands for all of them."""
        asked = _columns(Cell._fields, cells)
        self._db.execute(_BY_MINUTE.format(table=self._table), asked)
        return _Attempts(self._db, "minutes")


class SealedDay(_Attempts):
    """The day of an account, and the hour before and after it."""

    def __init__(
        self,
        files: Iterable[Path],
        account: str,
        day: dt.date,
        keys: Mapping[str, tuple[str, str]],
        long_context: Mapping[str, int],
        *,
        default_tier: str,
        threads: int = 1,
    ) -> None:
        """
        Args:
            files: Sealed hours that hold the day and the hour before and after it; what else they hold is left out.
            account: As the settings name it.
            day: UTC.
            keys: By credential version, the provider's id of the key and of its project.
            long_context: By model, above how many tokens a prompt is billed at the rate of long ones.
            default_tier: At which an attempt is billed that asked for none and was told none.
            threads: Of DuckDB.
        """
        config: dict[str, Any] = {
            "memory_limit": MEMORY,
            "threads": threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        super().__init__(duckdb.connect(config=config), "attempts")
        self._db.execute("SET timezone = 'UTC'")
        self._account = account
        self._begin = begin = int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())
        self._db.execute("CREATE TABLE keys (version VARCHAR, key VARCHAR, project VARCHAR)")
        self._db.executemany("INSERT INTO keys VALUES (?, ?, ?)", [(v, *k) for v, k in keys.items()] or [("", "", "")])
        self._db.execute("CREATE TABLE long_context (model VARCHAR, above BIGINT)")
        self._db.executemany("INSERT INTO long_context VALUES (?, ?)", [*long_context.items()] or [("", 0)])
        self._db.execute(
            _ATTEMPTS,
            {
                "files": [str(file) for file in files],
                "account": account,
                "since": begin - HOUR,
                "until": begin + DAY + HOUR,
                "tier": default_tier,
            },
        )

    def by_tenant(self) -> Mapping[str, Sequence[tuple[Cell, Quantities]]]:
        """Settled on the day itself, by tenant: cells whose hour is the day's first, and that tell no project and no key."""
        rows = self._db.execute(_BY_TENANT, {"begin": self._begin, "end": self._begin + DAY}).fetchall()
        found = defaultdict[str, list[tuple[Cell, Quantities]]](list)
        for tenant, model, tier, context, *quantities in rows:
            cell = Cell(self._account, self._begin, "", "", model, tier, context)
            found[tenant].append((cell, tuple(quantities)))
        return found

    def close(self) -> None:
        """Let its memory go."""
        self._db.close()


def _columns(names: Iterable[str], rows: Collection[Iterable[object]]) -> dict[str, list[object]]:
    """Of a table of *rows*, as parameters."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return {name: list(column) for name, column in zip(names, columns, strict=False)}


def _entered(row: tuple[Any, ...]) -> Entered:
    cell, rest = Cell(*row[:7]), row[7:]
    return Entered(
        cell=cell,
        quantities=tuple(rest[: len(CLASSES)]),
        requests=rest[7],
        estimates=rest[8],
        below=(rest[9], rest[10]),
        above=(rest[11], rest[12]),
        unknown=rest[13],
        reserved=(rest[14], rest[15]),
    )


_INPUT = "input_uncached + input_cached + cache_write + cache_write_5m + cache_write_1h"
_CELL = "account, hour, project, key, model, tier, context"
_CLASSES = ", ".join(CLASSES)
_SAME_CELL = " AND ".join(
    [f"a.{name} = w.{name}" for name in Cell._fields if name != "context"]
    + ["(w.context = '' OR a.context = w.context)"]
)
_WANTED = "SELECT " + ", ".join(
    f"unnest(${name}::{'BIGINT' if name == 'hour' else 'VARCHAR'}[]) AS {name}" for name in Cell._fields
)

_ATTEMPTS = f"""
CREATE TABLE attempts AS
SELECT a.account, epoch(date_trunc('hour', coalesce(sent_at, reserved_at)))::BIGINT AS hour, coalesce(k.project, '') AS project,
       coalesce(k.key, '?' || credential_version) AS key, coalesce(model_served, model_asked) AS model,
       coalesce(tier_served, tier_asked, $tier) AS tier,
       CASE WHEN coalesce({_INPUT}, reserved_input) > coalesce(l.above, 9223372036854775807) THEN 'long' ELSE 'base' END AS context,
       epoch(coalesce(sent_at, reserved_at)) AS moment, id, tenant, state, {_CLASSES}, is_estimate,
       {_INPUT} AS input, input_low, input_high, output_low, output_high, reserved_input, reserved_output
  FROM read_parquet($files) a
  LEFT JOIN keys k ON k.version = credential_version
  LEFT JOIN long_context l ON l.model = coalesce(model_served, model_asked)
 WHERE a.account = $account AND state IN ('settled', 'unknown')
   AND coalesce(sent_at, reserved_at) >= to_timestamp($since) AND coalesce(sent_at, reserved_at) < to_timestamp($until)
"""  # noqa: S608  made of the ledger's own names

_BY_MINUTE = f"""
CREATE OR REPLACE TABLE minutes AS
WITH w AS ({_WANTED})
SELECT a.* REPLACE (floor(moment)::BIGINT // 60 * 60 AS hour) FROM {{table}} a SEMI JOIN w ON {_SAME_CELL}
"""  # noqa: S608  made of the ledger's own names

_SUMS = ", ".join(f"coalesce(sum({name}), 0)::BIGINT" for name in CLASSES)

_BY_TENANT = f"""
SELECT tenant, model, tier, context, {_SUMS} FROM attempts
 WHERE state = 'settled' AND hour >= $begin AND hour < $end AND input + output + web_searches > 0 GROUP BY ALL ORDER BY ALL
"""  # noqa: S608  made of the ledger's own names

_ENTERED = f"""
SELECT {_CELL}, {_SUMS}, count(*) FILTER (input + output + web_searches > 0), count(*) FILTER (is_estimate),
       coalesce(sum(input - input_low), 0)::BIGINT, coalesce(sum(output - output_low), 0)::BIGINT,
       coalesce(sum(input_high - input), 0)::BIGINT, coalesce(sum(output_high - output), 0)::BIGINT,
       count(*) FILTER (state = 'unknown'), coalesce(sum(reserved_input) FILTER (state = 'unknown'), 0)::BIGINT,
       coalesce(sum(reserved_output) FILTER (state = 'unknown'), 0)::BIGINT
  FROM {{table}} GROUP BY ALL HAVING count(*) FILTER (input + output + web_searches > 0 OR state = 'unknown') > 0 ORDER BY ALL
"""  # noqa: S608  made of the ledger's own names

_SETTLED = f"""
WITH w AS ({_WANTED})
SELECT {_CELL}, moment, id::VARCHAR, {_CLASSES} FROM {{table}} a SEMI JOIN w ON {_SAME_CELL} WHERE state = 'settled' AND input > 0
"""  # noqa: S608  made of the ledger's own names
