"""Golden rows: where they stand, what they say, and how a write is known again."""

from __future__ import annotations

from uuid import UUID

import pytest

from steward.errors import BadInput
from steward.fieldcrypt.framing import framed_row
from steward.keys.golden import (
    ROW_ID_KINDS,
    STILL,
    WRITTEN,
    golden_row_id,
    golden_value,
    writing_of,
    written_value,
)
from tests.unit.keys.samples import TABLE


@pytest.mark.parametrize("kind", sorted(ROW_ID_KINDS))
def test_each_golden_row_has_a_key_of_its_own_that_fields_can_be_bound_to(kind):
    ids = [golden_row_id(TABLE, (kind,), number) for number in range(STILL + WRITTEN)]
    assert len({framed_row(each) for each in ids}) == STILL + WRITTEN
    assert ids == [golden_row_id(TABLE, (kind,), number) for number in range(STILL + WRITTEN)]


def test_a_composite_key_has_all_its_parts():
    text, number, unique = golden_row_id(TABLE, ("text", "bigint", "uuid"), 3)
    assert (text, type(number), type(unique)) == ("steward-golden-3", int, UUID)


def test_numbers_are_beyond_what_sequences_reach_and_fit_four_bytes():
    assert 2_000_000_000 < golden_row_id(TABLE, ("integer",), STILL + WRITTEN) < 2**31


def test_uuids_differ_between_tables():
    other = TABLE.model_copy(update={"relation": "crm.others"})
    assert golden_row_id(TABLE, ("uuid",), 0) != golden_row_id(other, ("uuid",), 0)


def test_a_primary_key_of_another_type_is_told_with_those_that_are_known():
    with pytest.raises(BadInput, match="a primary key of type numeric; expected bigint, bytea"):
        golden_row_id(TABLE, ("numeric",), 0)


def test_a_write_is_known_by_its_number():
    values = {written_value(TABLE, column, row, write) for column in "ab" for row in (8, 9) for write in (0, 1, 12)}
    assert len(values) == 12
    assert writing_of(written_value(TABLE, "email", 8, 12)) == 12
    assert writing_of(written_value(TABLE, "email", 8, 0)) == 0


@pytest.mark.parametrize(
    "value", [golden_value(TABLE, "email", 3), "written", "written x", "", None, 7, b"written 7", "read 7"]
)
def test_what_is_no_write_of_ours_has_no_number(value):
    assert writing_of(value) is None


def test_rows_that_never_change_differ_by_table_column_and_number():
    assert len({golden_value(TABLE, column, number) for column in ("email", "notes") for number in range(8)}) == 16
