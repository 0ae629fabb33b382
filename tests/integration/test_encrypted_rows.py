"""Rows in a real PostgreSQL moved to new keys while the application holds, changes and adds them."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from psycopg import sql

from replica import inventory
from steward.clients.encrypted_rows import open_rows
from steward.clients.encrypted_snapshot import open_snapshot
from steward.clients.encrypted_tables import row_id_kinds
from steward.clients.postgres import DatabaseRefused, connect
from steward.keys.golden import golden_row_id
from steward.keys.moving import RowMover
from steward.keys.proof import prove_table
from steward.keys.sweep import Tally
from steward.settings import load
from tests.integration.encrypted_ground import (
    AFTER,
    BEFORE,
    COLUMNS,
    NEW,
    OLD,
    as_rotator,
    as_superuser,
    described,
    lay,
    sealed,
    sweep,
    values,
)
from tests.integration.fresh_application import fresh_application

pytestmark = pytest.mark.without_search

KINDS = {
    "uuid": [UUID(int=1), UUID(int=2**127)],
    "integer": [1, -5],
    "bigint": [2**40, 0],
    "text": ["a", "ö'\"%s"],
    "character varying": ["b", ""],
    "bytea": [b"\0", b"\xff\x5c"],
}


@pytest.fixture(scope="module")
def laid(replica):
    with fresh_application(load(inventory.settings_file(replica))) as settings:
        lay(
            settings,
            *(
                f"CREATE TABLE {_table(kind)} (id {kind} PRIMARY KEY, {COLUMNS}) WITH (autovacuum_enabled = off)"
                for kind in KINDS
            ),
            f'CREATE TABLE "Pairs" (a int, b text, {COLUMNS}, PRIMARY KEY (b, a))',
            f"CREATE TABLE parted (region text, id int, {COLUMNS}, PRIMARY KEY (region, id)) PARTITION BY LIST (region)",
            "CREATE TABLE north PARTITION OF parted FOR VALUES IN ('north')",
            "CREATE TABLE others PARTITION OF parted DEFAULT PARTITION BY RANGE (id)",
            "CREATE TABLE others_low PARTITION OF others FOR VALUES FROM (0) TO (100)",
            "CREATE TABLE others_high PARTITION OF others FOR VALUES FROM (100) TO (1000)",
            open_to_rotator=[*map(_table, KINDS), "Pairs", "parted", "north", "others_low", "others_high"],
        )
        yield settings


def _table(kind):
    return f"of_{kind.replace(' ', '_')}"


@pytest.fixture
def rows(laid):
    with open_rows(as_rotator(laid)) as opened:
        yield opened


@pytest.fixture
def people(laid):
    """An empty table of integers, and a way to write rows into it."""
    table = described(_table("integer"))
    with as_superuser(laid) as connection:
        connection.execute(f"TRUNCATE {table.where}")
        yield table, Application(connection, table)


class Application:
    """Writes rows on a connection of its own."""

    def __init__(self, connection, table) -> None:
        self.connection, self._table = connection, table

    def insert(self, row_id, keys=BEFORE, **content):
        parts = row_id if isinstance(row_id, tuple) else (row_id,)
        columns = [*self._table.row_id, "tenant", *self._table.sealed_columns]
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(self._table.where),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        self.connection.execute(statement, [*parts, keys.tenant, *sealed(self._table, keys, row_id, **content)])

    def fill(self, row_ids, keys=BEFORE, **content):
        """One after the other, in one commit."""
        with self.connection.transaction():
            for row_id in row_ids:
                self.insert(row_id, keys, **content)

    def update(self, row_id, keys, email):
        self.connection.execute(
            sql.SQL("UPDATE {} SET email = %s, email_index = %s, notes = %s WHERE id = %s").format(
                sql.Identifier(self._table.where)
            ),
            [*sealed(self._table, keys, row_id, email), row_id],
        )


def refuted(settings, table):
    """Tenants of whom a row is not as it should be."""
    with open_snapshot(as_rotator(settings)) as snapshot:
        return prove_table(table, RowMover(table, {"acme": AFTER}), (), snapshot, random.Random(1)).refuted


@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_primary_keys_of_every_type_say_the_same_under_the_new_key(laid, rows, kind):
    table = described(_table(kind))
    with as_superuser(laid) as connection:
        for number, row_id in enumerate(KINDS[kind]):
            Application(connection, table).insert(row_id, email=f"{number}@example.net", notes=number)
    assert sweep(rows, table) == Tally(read=2, replaced=2)
    assert values(rows, table, KINDS[kind], AFTER) == [("0@example.net", 0), ("1@example.net", 1)]
    assert rows.key_ids(table) == {NEW: 6}
    assert refuted(laid, table) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_golden_rows_are_planted_once_under_keys_of_every_type(laid, rows, kind):
    table = described(_table(kind))
    with connect(as_rotator(laid)) as connection:
        assert row_id_kinds(connection, table) == (kind,)
    row_id = golden_row_id(table, (kind,), 3)
    first = sealed(table, AFTER, row_id, "first")
    assert rows.insert(table, row_id, "acme", first)
    assert not rows.insert(table, row_id, "acme", sealed(table, AFTER, row_id, "second"))
    assert values(rows, table, [row_id], AFTER) == [("first", None)]
    assert rows.overwrite(table, row_id, sealed(table, AFTER, row_id, "third"))
    assert values(rows, table, [row_id], AFTER) == [("third", None)]
    assert not rows.overwrite(table, golden_row_id(table, (kind,), 4), first)


def test_rows_with_composite_keys_are_bound_to_all_of_their_parts(laid, rows):
    table = described("Pairs", ["b", "a"])
    with as_superuser(laid) as connection:
        for row_id in (("x", 1), ("x", 2), ("y", 1)):
            Application(connection, table).insert(row_id, email=str(row_id))
    assert sweep(rows, table) == Tally(read=3, replaced=3)
    assert values(rows, table, [("x", 2), ("y", 1)], AFTER) == [("('x', 2)", None), ("('y', 1)", None)]
    assert refuted(laid, table) == set()


def test_a_partitioned_table_is_swept_in_all_its_leaves(laid, rows):
    table = described("parted", ["region", "id"])
    ids = [("north", 5), ("south", 5), ("south", 150)]
    with as_superuser(laid) as connection:
        for row_id in ids:
            Application(connection, table).insert(row_id, email=str(row_id))
    assert sorted(rows.leaves(table)) == ["north", "others_high", "others_low"]
    assert rows.key_ids(table) == {OLD: 6}
    assert sweep(rows, table) == Tally(read=3, replaced=3)
    assert values(rows, table, ids, AFTER) == [(str(row_id), None) for row_id in ids]
    assert rows.key_ids(table) == {NEW: 6}
    assert refuted(laid, table) == set()


def test_nulls_stay_nulls_and_are_no_values(laid, people, rows):
    table, application = people
    application.insert(1, email=None, notes=None)
    application.insert(2, email=None, notes="x")
    assert rows.key_ids(table) == {OLD: 1}
    assert sweep(rows, table) == Tally(read=1, replaced=1)
    assert values(rows, table, [1, 2], AFTER) == [(None, None), (None, "x")]
    assert refuted(laid, table) == set()


def test_what_is_too_short_to_name_a_key_is_counted_as_none(people, rows):
    table, application = people
    application.insert(1, notes="x")
    application.connection.execute("UPDATE of_integer SET notes = '\\x0111', email_index = ''")
    assert rows.key_ids(table) == {OLD: 1, -1: 2}


# Beside the application.


def test_a_row_that_is_locked_for_the_whole_pass_is_found_by_the_next(laid, people, rows):
    table, application = people
    application.fill(range(150))
    with as_superuser(laid) as holder, holder.transaction():
        holder.execute(f"SELECT FROM {table.where} WHERE id = 77 FOR UPDATE")
        assert sweep(rows, table) == Tally(read=150, replaced=149, overtaken=1)
    assert sweep(rows, table) == Tally(read=1, replaced=1)
    assert rows.key_ids(table) == {NEW: 300}


def test_a_write_between_reading_a_row_and_replacing_it_wins(people, rows):
    table, application = people
    application.fill(range(3), email="before")

    def overtaken():
        application.update(1, AFTER, "meanwhile")

    assert sweep(rows, table, guard=overtaken) == Tally(read=3, replaced=2, overtaken=1)
    assert values(rows, table, [0, 1, 2], AFTER) == [("before", None), ("meanwhile", None), ("before", None)]


def test_a_stale_writers_write_between_them_wins_too_and_is_moved_by_the_next_pass(people, rows):
    table, application = people
    application.insert(1, email="before")

    def overtaken():
        application.update(1, BEFORE, "stale")

    assert sweep(rows, table, guard=overtaken) == Tally(read=1, overtaken=1)
    assert sweep(rows, table) == Tally(read=1, replaced=1)
    assert values(rows, table, [1], AFTER) == [("stale", None)]


def test_a_row_deleted_and_another_put_in_its_place_is_not_overwritten(people, rows):
    table, application = people
    application.insert(1, email="one")

    def overtaken():
        application.connection.execute("DELETE FROM of_integer")
        application.connection.execute("VACUUM of_integer")
        application.insert(2, keys=AFTER, email="two")

    assert sweep(rows, table, guard=overtaken) == Tally(read=1, overtaken=1)
    assert values(rows, table, [1, 2], AFTER) == [("two", None)]


def test_updates_in_other_threads_are_never_lost(laid, people, rows):
    table, application = people
    acknowledged = dict.fromkeys(range(40), "at first")
    application.fill(acknowledged, email="at first")
    writing = threading.Barrier(3, timeout=30)

    def write(share):
        with as_superuser(laid) as connection:
            writer = Application(connection, table)
            writing.wait()
            for number in range(120):
                row_id = (number * 7 + share) % 20 + 20 * share
                # Half of them as processes that have not switched yet.
                email = f"{share} {number}"
                writer.update(row_id, BEFORE if number % 2 else AFTER, email)
                acknowledged[row_id] = email

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, share) for share in range(2)]
        writing.wait()
        total = Tally()
        while not all(each.done() for each in writers):
            total += sweep(rows, table)
        for each in writers:
            each.result()
    while rows.key_ids(table)[OLD]:
        total += sweep(rows, table)
    # However often they met: each row that a stale process wrote last was moved since.
    assert total.replaced >= sum(int(email.split()[1]) % 2 for email in acknowledged.values()) == 20
    assert values(rows, table, list(acknowledged), AFTER) == [(email, None) for email in acknowledged.values()]
    assert refuted(laid, table) == set()


def test_what_a_table_grows_by_during_a_pass_is_found_by_the_next(people, rows):
    table, application = people
    application.fill(range(20))
    grown = []

    def growing():
        if not grown:
            grown.append(1)
            application.fill(range(100, 400))

    pages = rows.pages(table.where)
    assert sweep(rows, table, guard=growing).replaced == 20
    assert rows.pages(table.where) > pages
    assert sweep(rows, table).replaced == 300
    assert rows.key_ids(table) == {NEW: 640}


def test_a_proof_is_of_the_moment_at_which_it_was_opened(laid, people):
    table, application = people
    application.insert(1)
    with open_snapshot(as_rotator(laid)) as snapshot:
        application.insert(2)
        assert [row.row_id for row in snapshot.all(table)] == [1]


def test_look_ups_go_by_the_databases_index_and_scans_do_not(laid, people):
    table, application = people
    lay(laid, f"CREATE INDEX IF NOT EXISTS by_email ON {table.where} (email_index)", open_to_rotator=[])
    with application.connection.transaction():
        for number in range(500):
            application.insert(number, AFTER, email=f"{number % 250}@example.net")
    application.connection.execute(f"VACUUM ANALYZE {table.where}")
    index = sealed(table, AFTER, 0, "7@example.net")[1]
    with open_snapshot(as_rotator(laid)) as snapshot:
        assert snapshot.having(table, table.fields[0], "acme", [index]) == {7, 257}
        assert snapshot.scanned(table, table.fields[0], [index]) == {("acme", index): {7, 257}}
        # And by the index again afterwards.
        query = "EXPLAIN SELECT id FROM of_integer WHERE email_index = ANY(%s)"
        plan = snapshot._connection.execute(query, [[index]]).fetchall()
        assert any("by_email" in line for (line,) in plan)


# Transactions.


def test_a_transaction_that_began_before_holds_the_number_back_until_it_ends(laid, people, rows):
    table, _ = people
    with as_superuser(laid) as holder:
        with holder.transaction():
            Application(holder, table).insert(1)
            now = rows.next_transaction()
            assert rows.oldest_transaction() <= now
        # Others of this server may write too, and are over in a moment.
        while rows.oldest_transaction() <= now:
            pass
    assert rows.key_ids(table) == {OLD: 2}


def test_a_table_that_went_away_meanwhile_is_told_in_words(laid):
    with (
        pytest.raises(DatabaseRefused, match=r"lacks what applications\.customers\.encrypted names"),
        open_rows(as_rotator(laid)) as rows,
    ):
        rows.key_ids(described("gone"))
