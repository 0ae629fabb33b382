"""What a schema and its rows must be after each way, told object by object."""

import pytest

from steward.pipeline.migrations import (
    BASE,
    SeveralHeads,
    TableRows,
    compare_counts,
    compare_rows,
    compare_schemas,
    find_unproved,
    read_revision,
    without_version_table,
)

BEFORE = {
    "table public.orders": "r p d",
    "column public.orders.id": "integer NOT NULL",
    "index public.orders_pkey": "CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)",
    "constraint orders_pkey of public.orders": "PRIMARY KEY (id)",
}


def rows(number, checksum="1", columns=("id",)):
    return TableRows(columns, number, checksum)


@pytest.mark.parametrize(
    ("output", "revision"),
    [
        ("INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.\nae1027a6acf (head)\n", "ae1027a6acf"),
        ("0016_rollouts\n", "0016_rollouts"),
        ("b2 (head) (mergepoint)\n", "b2"),
        ("INFO  [alembic.runtime.migration] Will assume transactional DDL.\n", BASE),
        ("", BASE),
    ],
)
def test_the_revision_is_read_from_between_the_lines_of_the_log(output, revision):
    assert read_revision(output) == revision


def test_two_heads_are_no_place_where_a_release_leaves_a_database():
    with pytest.raises(SeveralHeads, match="at 2 revisions at once: a1, b2") as caught:
        read_revision("a1 (head)\nb2 (head)\n")
    assert "alembic merge heads" in caught.value.hint


def test_each_object_that_differs_is_named_with_how():
    after = BEFORE | {"column public.orders.id": "bigint NOT NULL", "view public.v": "v"}
    del after["index public.orders_pkey"]
    assert compare_schemas(BEFORE, after, "backward") == [
        "backward: column public.orders.id is `bigint NOT NULL`, expected `integer NOT NULL`",
        "backward: index public.orders_pkey is missing",
        "backward: view public.v is left over",
    ]
    assert compare_schemas(BEFORE, dict(reversed(BEFORE.items())), "backward") == []


def test_a_long_definition_is_cut_on_one_line():
    (said,) = compare_schemas({"function f()": "a"}, {"function f()": "line\n" * 100}, "backward")
    assert len(said) < 200
    assert "\n" not in said


def test_rows_are_compared_by_count_then_by_checksum():
    assert compare_rows({"t": rows(5)}, {"t": rows(5)}, "backward") == []
    assert compare_rows({"t": rows(5)}, {"t": rows(4)}, "backward") == ["backward: t has 4 rows, expected 5"]
    assert compare_rows({"t": rows(5)}, {"t": rows(5, "2")}, "backward") == [
        "backward: t has other values in its 5 rows than before"
    ]


def test_a_table_that_is_gone_or_has_other_columns_is_the_schemas_finding():
    assert compare_rows({"t": rows(5)}, {}, "backward") == []
    assert compare_rows({"t": rows(5)}, {"t": rows(5, "2", ("id", "note"))}, "backward") == []


def test_on_the_way_there_only_fewer_rows_are_a_loss():
    assert compare_counts({"t": rows(5)}, {"t": rows(6, "2", ("id", "note")), "new": rows(0)}, "forward") == []
    assert compare_counts({"t": rows(5)}, {"t": rows(4)}, "forward") == ["forward: t has 4 rows, expected at least 5"]


def test_alembics_own_table_is_told_by_its_one_column():
    version = {
        "table audit.revisions": "r p d",
        "column audit.revisions.version_num": "character varying(32) NOT NULL",
        "constraint pk of audit.revisions": "PRIMARY KEY (version_num)",
        "index audit.pk": "CREATE UNIQUE INDEX pk ON audit.revisions USING btree (version_num)",
    }
    assert without_version_table(BEFORE | version) == BEFORE
    other = {"column public.t.version_num": "integer", "column public.t.id": "integer"}
    assert without_version_table(other) == other


@pytest.mark.parametrize("changed", list(BEFORE))
def test_a_table_that_changes_in_any_part_and_had_no_row_is_unproved(changed):
    after = BEFORE | {changed: BEFORE[changed] + " "}
    assert find_unproved(BEFORE, after, {"public.orders": rows(0), "public.other": rows(0)}) == ["public.orders"]
    assert find_unproved(BEFORE, after, {"public.orders": rows(1)}) == []


def test_a_new_table_had_nothing_to_lose():
    assert find_unproved(BEFORE, BEFORE | {"table public.new": "r"}, {"public.orders": rows(0)}) == []
