"""The log in PostgreSQL: the database's tree is RFC 6962's, without a gap, and takes in what was there before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from psycopg import errors as pg

from steward.clients.postgres import connect
from steward.evidence import log
from steward.evidence.checkpoint_signing import published_keys
from steward.evidence.envelopes import sign, verify
from steward.evidence.log_stores import log_in_stores
from steward.evidence.log_verification import judge
from steward.evidence.merkle import Tree, consistency_ranges, inclusion_ranges, leaf_hash
from steward.evidence.signers import load_public_key, open_signer
from steward.evidence.store import complete, record
from steward.migrations.apply import migrate
from steward.verdicts import Verdict
from tests.integration.evidence_ground import append, new_statement
from tests.integration.fresh_database import fresh_database, superuser

pytestmark = pytest.mark.without_search

ENTRIES = 70


@pytest.fixture
def stores(settings):
    with fresh_database(settings) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture(scope="module")
def open_once():
    """Opens one database with a log of so many entries for the tests that only read it."""
    opened = []
    with ExitStack() as stack:

        def open_once(settings):
            if not opened:
                opened.append(stack.enter_context(fresh_database(settings)))
                migrate(opened[0])
                append(opened[0], *(new_statement(attempt=attempt + 1) for attempt in range(ENTRIES)))
            return opened[0]

        yield open_once


@pytest.fixture
def filled(settings, open_once):
    return open_once(settings)


@pytest.fixture
def filled_log(filled):
    """(a connection, the tree that is computed anew from the rows)."""
    with connect(filled) as connection:
        entries = [each.entry for each in log.entries(connection, 0, ENTRIES)]
        yield connection, Tree([leaf_hash(entry) for entry in entries])


def _verdict(settings):
    keys = [load_public_key(settings.evidence.public_key)]
    return judge(log_in_stores(settings, keys), published_keys(settings))


def test_the_tree_that_the_database_keeps_is_the_one_of_the_rfc(filled_log):
    connection, tree = filled_log
    assert log.size(connection) == ENTRIES
    nodes = log.all_nodes(connection)
    assert all(tree[node] == kept for node, kept in nodes.items())
    assert len(nodes) == sum(ENTRIES >> level for level in range(ENTRIES.bit_length()))


def test_roots_and_proofs_come_from_kept_nodes(filled_log):
    connection, tree = filled_log
    for size in (0, 1, 2, 3, 31, 32, 33, 64, 69, 70):
        assert log.root(connection, size) == tree.root(size)
        for index in {0, size // 2, size - 1} & set(range(size)):
            assert log.inclusion(connection, index, size) == tree.inclusion(index, size)
            assert log.hashes(connection, inclusion_ranges(index, size)) == tree.inclusion(index, size)
            assert log.hashes(connection, consistency_ranges(index, size)) == tree.consistency(index, size)


def test_entries_stand_in_the_order_of_their_appending(filled_log):
    connection, _ = filled_log
    attempts = [each.row.attempt for each in log.entries(connection, 0, ENTRIES)]
    assert attempts == list(range(1, ENTRIES + 1))


@pytest.mark.parametrize("table", ["log", "log_entries", "log_nodes", "log_checkpoints", "log_anchored"])
@pytest.mark.parametrize("change", ["DELETE FROM steward.{}", "TRUNCATE steward.{}"])
def test_the_log_refuses_every_change_to_a_superuser_in_replica_mode_too(filled, table, change):
    with superuser(filled, filled.postgres.url.rsplit("/", 1)[1]) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(pg.RestrictViolation, match="append-only"):
            connection.execute(change.format(table))


def test_there_is_one_log_in_a_database(filled):
    with pytest.raises(pg.UniqueViolation), connect(filled) as connection:
        connection.execute("INSERT INTO steward.log DEFAULT VALUES")


def test_appenders_at_the_same_moment_leave_no_gap(stores):
    with ThreadPoolExecutor(6) as pool:
        rows = [row for each in pool.map(lambda _: append(stores, *_three()), range(12)) for row in each]
    with connect(stores) as connection:
        entries = list(log.entries(connection, 0, log.size(connection)))
        tree = Tree([leaf_hash(each.entry) for each in entries])
        assert [each.index for each in entries] == list(range(36))
        assert {each.row.id for each in entries} == {row.id for row in rows}
        assert log.root(connection, 36) == tree.root(36)


def _three():
    return [new_statement() for _ in range(3)]


def test_recorders_at_the_same_moment_leave_one_signed_and_anchored_log(stores):
    with ThreadPoolExecutor(6) as pool:
        refs = list(pool.map(lambda _: record(stores, new_statement()), range(6)))
    report = _verdict(stores)
    assert (report.verdict, report.entries, report.proved.checkpoint.size) == (Verdict.VERIFIED, len(refs), len(refs))
    assert report.anchored_leaves == len(refs)


def test_a_statement_that_is_rolled_back_takes_no_place(stores):
    with connect(stores) as connection:
        _insert(connection, stores, new_statement())
        assert log.size(connection) == 1
        connection.rollback()
    (row,) = append(stores, new_statement())
    with connect(stores) as connection:
        assert (log.index_of(connection, row), log.size(connection)) == (0, 1)


def _insert(connection, settings, made):
    """As a version of Steward that knows of no log."""
    signer = open_signer(settings)
    envelope = sign(made.payload(), signer)
    signed = verify(envelope, signer.public_key)
    values = (made.operation, made.subject, made.period, made.attempt, made.verdict.value, signed.digest, signed.key_id)
    connection.execute(
        "INSERT INTO steward.evidence (operation, subject, period, attempt, verdict, digest, key_id, envelope) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (*values, envelope.decode()),
    )


def test_what_an_older_version_records_is_in_the_log_too(stores):
    with connect(stores) as connection:
        _insert(connection, stores, new_statement())
        assert log.outside(connection) == []
        assert log.size(connection) == 1


def test_statements_of_before_are_taken_in_by_their_ids_and_then_signed_and_anchored(settings):
    with fresh_database(settings) as older:
        migrate(older, "0005")
        with connect(older) as connection:
            for attempt in range(1, 6):
                _insert(connection, older, new_statement(attempt=attempt))
        migrate(older)
        with connect(older) as connection:
            entries = list(log.entries(connection, 0, 5))
        assert [each.row.attempt for each in entries] == [1, 2, 3, 4, 5]
        assert [each.row.id for each in entries] == sorted(each.row.id for each in entries)
        assert complete(older) == 5
        report = _verdict(older)
        assert (report.verdict, report.proved.checkpoint.size, report.anchored_leaves) == (Verdict.VERIFIED, 5, 5)
