"""FOCUS rows as files: CSV, and out of that same file parquet, so that the two cannot differ."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import duckdb

from steward.costs.focus.columns import COLUMNS, DIGITS, SCALE, Kind, Row, Value
from steward.costs.focus.rows import FocusInvalid
from steward.costs.focus.rules import check_focus

_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.DECIMAL: f"DECIMAL({DIGITS}, {SCALE})",
    Kind.TIME: "TIMESTAMP WITH TIME ZONE",
    Kind.PAIRS: "VARCHAR",
}
_TOLD = 5


def write_focus(rows: Sequence[Row], to_csv: Path, to_parquet: Path, payable: Mapping[str, Decimal]) -> None:
    """Both files, the same bytes for the same rows; *payable*: what is to be paid for each invoice that rows name.

    Raises FocusInvalid before anything is written.
    """
    if wrong := check_focus(rows, payable):
        more = f"; and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise FocusInvalid(
            f"these are no rows of FOCUS 1.2: {'; '.join(wrong[:_TOLD])}{more}",
            hint="nothing was written; docs/costs.md says what makes a row",
        )
    with to_csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column.name for column in COLUMNS)
        writer.writerows([_text(row[column.name]) for column in COLUMNS] for row in rows)
    _convert(to_csv, to_parquet)


def _convert(source: Path, target: Path) -> None:
    types = {column.name: _TYPES[column.kind] for column in COLUMNS}
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("SET timezone = 'UTC'")
        database.execute(
            f"COPY (SELECT * FROM read_csv(?, columns = {types}, header = true, auto_detect = false, delim = ',', "  # noqa: S608  own names
            """quote = '"', escape = '"', nullstr = '')) TO '"""
            + str(target).replace("'", "''")
            + "' (FORMAT parquet, COMPRESSION zstd, KV_METADATA {FocusVersion: '1.2'})",
            [str(source)],
        )


def _text(value: Value) -> str:
    """Null is nothing; a number has no exponent; a moment is ISO 8601 in UTC, to the second."""
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:f}"
        case dt.datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case str():
            return value
