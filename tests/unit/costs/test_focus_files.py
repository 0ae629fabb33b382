"""Files hold the rows to the last digit, both the same, and nothing that is no FOCUS."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from hashlib import sha256

import duckdb
import pytest

from steward.clients.focus_files import write_focus
from steward.costs.focus.columns import COLUMNS, Kind
from steward.costs.focus.rows import FocusInvalid, focus_rows
from steward.costs.pricing.prices import load_prices
from tests.unit.costs.focus_ground import ACCOUNT, SOME, invoiced, month

PAYABLE = {"INV-1": Decimal("11.90")}


@pytest.fixture(scope="module")
def rows():
    made = focus_rows(ACCOUNT, month(*SOME), load_prices(None), invoiced())
    # What a careless writer would break.
    return [{**made[0], "ChargeDescription": 'über, "so"\nand =so; NULL', "SubAccountName": "NULL"}, *made[1:]]


@pytest.fixture
def files(tmp_path, rows):
    files = tmp_path / "focus.csv", tmp_path / "fo'cus.parquet"
    write_focus(rows, *files, PAYABLE)
    return files


def test_parquet_has_exact_decimals_and_moments(files) -> None:
    described = duckdb.read_parquet(str(files[1]))
    types = {Kind.DECIMAL: "DECIMAL(38,12)", Kind.TIME: "TIMESTAMP WITH TIME ZONE"}
    assert dict(zip(described.columns, map(str, described.types), strict=True)) == {
        column.name: types.get(column.kind, "VARCHAR") for column in COLUMNS
    }


def test_parquet_says_which_version_it_is_of(files) -> None:
    told = duckdb.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(files[1])]).fetchall()
    assert (b"FocusVersion", b"1.2") in told


def test_both_files_hold_each_row_as_it_was_made(files, rows) -> None:
    times = ", ".join(
        f"epoch({column.name})::BIGINT AS {column.name}" for column in COLUMNS if column.kind is Kind.TIME
    )
    read = duckdb.read_parquet(str(files[1])).project(f"* REPLACE ({times})").fetchall()
    assert [dict(zip(rows[0], row, strict=True)) for row in read] == [
        {name: int(value.timestamp()) if isinstance(value, dt.datetime) else value for name, value in row.items()}
        for row in rows
    ]
    with files[0].open(newline="", encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    assert [each["ChargeDescription"] for each in told] == [row["ChargeDescription"] for row in rows]
    assert [Decimal(each["BilledCost"]) for each in told] == [row["BilledCost"] for row in rows]
    assert (told[0]["BilledCost"], told[0]["ChargePeriodStart"]) == ("0.002468000000", "2026-10-03T00:00:00Z")
    assert (told[0]["SubAccountName"], told[0]["CommitmentDiscountId"]) == ("NULL", "")


def test_what_is_paid_for_an_invoice_is_in_the_file(files) -> None:
    sums = duckdb.read_parquet(str(files[1])).aggregate("InvoiceId, sum(BilledCost)").fetchall()
    assert sums == [("INV-1", Decimal("11.90"))]


def test_the_same_rows_make_the_same_bytes(files, rows, tmp_path) -> None:
    again = tmp_path / "again.csv", tmp_path / "again.parquet"
    write_focus(rows, *again, PAYABLE)
    assert [sha256(each.read_bytes()).digest() for each in again] == [
        sha256(each.read_bytes()).digest() for each in files
    ]


def test_no_rows_are_a_file_of_columns(tmp_path) -> None:
    files = tmp_path / "none.csv", tmp_path / "none.parquet"
    write_focus([], *files, {})
    assert duckdb.read_parquet(str(files[1])).fetchall() == []
    assert files[0].read_text().split("\n") == [",".join(column.name for column in COLUMNS), ""]


@pytest.mark.parametrize(
    ("changes", "payable", "said"),
    [
        ({"BilledCost": Decimal(1)}, PAYABLE, "INV-1 is billed 12.897532"),
        ({}, {}, "INV-1 is billed 11.900000000000, and None is payable"),
        ({"ServiceName": None, "ProviderName": None}, PAYABLE, "ProviderName is null; row 1: ServiceName is null"),
        (dict.fromkeys(each.name for each in COLUMNS if not each.nullable), PAYABLE, "; and 14 more"),
    ],
)
def test_rows_that_are_no_focus_are_not_written(tmp_path, rows, changes, payable, said) -> None:
    files = tmp_path / "focus.csv", tmp_path / "focus.parquet"
    with pytest.raises(FocusInvalid, match=said):
        write_focus([{**rows[0], **changes}, *rows[1:]], *files, payable)
    assert list(tmp_path.iterdir()) == []
