"""Which columns are encrypted: what a file may say, and what each fault of it is told as."""

from __future__ import annotations

import pytest

from steward.errors import BadInput
from steward.keys.columns import EncryptedColumns, EncryptedTable, load_columns
from steward.keys.errors import ColumnsUnusable

CUSTOMERS = """
[[table]]
name = "customers"
row_id = ["id"]
tenant = "tenant_id"
golden = { plan = "free" }
[[table.field]]
column = "email"
index = "email_index"
[[table.field]]
column = "notes"
field = "remarks"
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "columns.toml"


def test_a_file_says_tables_and_their_fields(file):
    file.write_text(CUSTOMERS)
    (table,) = load_columns(file).tables
    assert (table.where, table.row_id, table.tenant, table.golden) == (
        "customers",
        ("id",),
        "tenant_id",
        {"plan": "free"},
    )
    assert table.sealed_columns == ("email", "email_index", "notes")
    assert table.columns == ("id", "tenant_id", "email", "email_index", "notes")
    assert [field.bound_as for field in table.fields] == ["email", "remarks"]


def test_a_relation_may_have_another_name_than_its_ciphertexts_are_bound_to(file):
    file.write_text(CUSTOMERS.replace('name = "customers"', 'name = "customers"\nrelation = "crm.people"'))
    (table,) = load_columns(file).tables
    assert (table.name, table.where) == ("customers", "crm.people")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('golden = { plan = "free" }', 'goldem = { plan = "free" }'), "goldem: Extra inputs are not permitted"),
        (('index = "email_index"', 'indexes = "email_index"'), "field.0.indexes: Extra inputs are not permitted"),
        (('tenant = "tenant_id"', ""), "tenant: Field required"),
        (('row_id = ["id"]', "row_id = []"), "row_id: Tuple should have at least 1 item"),
        (('column = "notes"', 'column = "email"'), "table customers names email twice"),
        (('column = "notes"', 'column = "id"'), "table customers names id twice"),
        (('column = "notes"', 'column = "tenant_id"'), "table customers names tenant_id twice"),
        (('column = "notes"', 'column = "no\\"tes"'), "field.1.column: String should match pattern"),
        (('name = "customers"', 'name = ""'), "name: String should have at least 1 character"),
        (("[[table]]", "[[tables]]"), "tables: Extra inputs are not permitted"),
        (('golden = { plan = "free" }', "golden = { plan = 1.5 }"), "golden.plan"),
    ],
)
def test_a_fault_is_told_with_the_file_and_where_in_it(file, change, said):
    assert change[0] in CUSTOMERS
    file.write_text(CUSTOMERS.replace(*change))
    with pytest.raises(ColumnsUnusable) as raised:
        load_columns(file)
    assert said in raised.value.message
    assert str(file) in raised.value.message
    assert raised.value.hint
    assert isinstance(raised.value, BadInput)


def test_a_table_is_described_once(file):
    file.write_text(CUSTOMERS * 2)
    with pytest.raises(ColumnsUnusable, match="a table is described twice"):
        load_columns(file)


@pytest.mark.parametrize(
    ("written", "said"),
    [(None, "No such file"), (b"name = ", "Invalid value"), (b"\xff", "can't decode"), (b"", "table: Field required")],
)
def test_what_is_no_such_file_is_told(file, written, said):
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(ColumnsUnusable, match=said):
        load_columns(file)


def test_the_description_does_not_change(file):
    file.write_text(CUSTOMERS)
    described = load_columns(file)
    with pytest.raises(ValueError, match="frozen"):
        described.tables = ()
    assert isinstance(described, EncryptedColumns)
    assert isinstance(described.tables[0], EncryptedTable)
