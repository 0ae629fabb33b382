"""An hour of the ledger as a parquet file, and back: by COPY out of PostgreSQL, by DuckDB into parquet.

In files and blocks, so that an hour of millions needs no more memory than a quiet one.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import LiteralString

import duckdb

from steward.ai.sealing import Figures
from steward.ai.usage import CLASSES
from steward.clients.postgres import Connection

#: DuckDB writes to its folder what does not fit in.
MEMORY = "512MB"
#: One: rows are compared in the order in which they lie.
THREADS = 1

#: The file's columns. Counts are integers, and no figure of money is among them: prices come to it later, as DECIMAL.
COLUMNS: dict[str, str] = {
    "id": "UUID",
    "request": "UUID",
    "ordinal": "SMALLINT",
    "worker": "UUID",
    "tenant": "VARCHAR",
    "project": "VARCHAR",
    "key_id": "VARCHAR",
    "provider": "VARCHAR",
    "account": "VARCHAR",
    "credential_version": "VARCHAR",
    "alias": "VARCHAR",
    "model_asked": "VARCHAR",
    "tier_asked": "VARCHAR",
    "is_stream": "BOOLEAN",
    "reserved_input": "BIGINT",
    "reserved_output": "BIGINT",
    "state": "VARCHAR",
    "reserved_at": "TIMESTAMPTZ",
    "sent_at": "TIMESTAMPTZ",
    "unknown_at": "TIMESTAMPTZ",
    "settled_at": "TIMESTAMPTZ",
    "ending": "VARCHAR",
    "http_status": "SMALLINT",
    "error_class": "VARCHAR",
    "provider_request_id": "VARCHAR",
    "repeated_request_id": "VARCHAR",
    "model_served": "VARCHAR",
    "tier_served": "VARCHAR",
    "prices_version": "VARCHAR",
    "first_token_ms": "INTEGER",
    "latency_ms": "INTEGER",
    **dict.fromkeys(CLASSES, "BIGINT"),
    "is_estimate": "BOOLEAN",
    "input_low": "BIGINT",
    "input_high": "BIGINT",
    "output_low": "BIGINT",
    "output_high": "BIGINT",
}


def export_hour(connection: Connection, hour: dt.datetime, to: Path) -> None:
    """Every attempt of *hour*, as text in the order of their times and ids."""
    connection.execute("SET LOCAL timezone = 'UTC'")
    connection.execute("SET LOCAL datestyle = 'ISO'")
    with connection.cursor() as cursor, cursor.copy(_EXPORT, {"hour": hour}) as rows, to.open("wb") as file:
        for block in rows:
            file.write(block)


def write_parquet(exported: Path, to: Path) -> None:
    """*exported* as parquet, compressed by zstd."""
    with _duckdb(to.parent) as db:
        # The names are this process's own, in a folder of its own.
        db.execute(f"COPY ({_of_text(exported)}) TO '{to}' (FORMAT parquet, COMPRESSION zstd)")


def compare_parquet(exported: Path, parquet: Path) -> list[str]:
    """What differs, row by row and in the same order; nothing: the file holds exactly what was exported."""
    try:
        with _duckdb(parquet.parent) as db:
            # A side that is shorter is filled up with nothing, and differs by that.
            found = db.execute(
                "SELECT count(*), count(*) FILTER (told IS DISTINCT FROM kept), "  # noqa: S608  names of files of our own
                "min(told.id) FILTER (told IS DISTINCT FROM kept) "
                f"FROM ({_of_text(exported)}) AS told POSITIONAL JOIN (SELECT * FROM read_parquet('{parquet}')) AS kept"
            ).fetchall()
    except duckdb.Error as error:
        # DuckDB's text names files and columns, and may quote a cell: attempts hold no content and no secret.
        return [f"it cannot be read as the ledger's attempts: {str(error).splitlines()[0]}"]
    rows, differing, first = found[0]
    if not differing:
        return []
    return [
        f"{differing:,} of {rows:,} attempts are not as the ledger has them, first {first or 'one it does not have'}"
    ]


def parquet_figures(parquet: Path) -> dict[str, Figures]:
    """Rows and sums by state, as a reader of the file finds them."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::BIGINT" for name in CLASSES)
    with _duckdb(parquet.parent) as db:
        rows = db.execute(
            f"SELECT state, count(*), {sums} FROM read_parquet('{parquet}') GROUP BY state ORDER BY state"  # noqa: S608
        ).fetchall()
    return {row[0]: Figures(rows=row[1], sums=dict(zip(CLASSES, row[2:], strict=True))) for row in rows}


def _duckdb(folder: Path) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": THREADS,
        "temp_directory": str(folder / "spilled"),
        # It would fetch them from the network.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(config=config)


def _of_text(exported: Path) -> str:
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    return (
        f"SELECT * FROM read_csv('{exported}', columns = {{{columns}}}, header = true, auto_detect = false, delim = ',', "  # noqa: S608
        "quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, parallel = false)"
    )


_NAMES: LiteralString = ", ".join(COLUMNS)  # pyright: ignore[reportAssignmentType]

_EXPORT: LiteralString = f"""
COPY (
    SELECT {_NAMES} FROM steward.ai_attempts
     WHERE reserved_at >= %(hour)s AND reserved_at < %(hour)s::timestamptz + interval '1 hour' ORDER BY reserved_at, id
) TO STDOUT (FORMAT csv, HEADER)
"""  # noqa: S608  made of the ledger's own names
