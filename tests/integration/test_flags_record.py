"""`flags.record`: a user's first outcome counts once, whatever is repeated, killed or written at the same time."""

from __future__ import annotations

import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors as pg

from replica import inventory
from steward.clients.flag_errors import OutcomesRefused
from steward.clients.flag_outcomes import MOST, Outcome, Total, forget_ended, heartbeats, read_totals, record
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.flags_ground import application_connection, as_application, flags_database
from tests.integration.fresh_database import superuser

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def database(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture
def rollout():
    return f"rollout-{secrets.token_hex(4)}"


def outcome(rollout, user, *, variant="on", kind="exposed", step=1):
    return Outcome("search", rollout, step, variant, kind, f"{user:032x}")


def test_a_user_counts_once_with_the_variant_that_came_first(database, rollout):
    batch = [outcome(rollout, 1), outcome(rollout, 2, variant="off"), outcome(rollout, 1, variant="off")]
    expected = [Total("search", rollout, 1, "off", "exposed", 1), Total("search", rollout, 1, "on", "exposed", 1)]
    for _ in range(3):
        with as_application(database) as connection:
            assert record(connection, "shop-1", batch) == expected


def test_kinds_and_steps_are_counted_apart_and_told_together(database, rollout):
    with as_application(database) as connection:
        record(connection, "shop-1", [outcome(rollout, 1, step=2)])
        told = record(connection, "shop-2", [outcome(rollout, 1), outcome(rollout, 1, kind="error")])
    assert [(each.step, each.kind, each.users) for each in told] == [(1, "error", 1), (1, "exposed", 1)]
    with connect(database) as connection:
        assert [(each.step, each.kind) for each in read_totals(connection, "search", rollout)] == [
            (1, "error"),
            (1, "exposed"),
            (2, "exposed"),
        ]
        assert len(read_totals(connection, "search", rollout, 2)) == 1


def test_many_writers_of_the_same_users_count_each_once(database, rollout):
    """In batches that overlap, in orders of their own, repeated: no deadlock, nothing twice, nothing lost."""

    def write(number):
        users = list(range(number * 100, number * 100 + 400))
        if number % 2:
            users.reverse()
        for start in range(0, len(users), 50):
            batch = [outcome(rollout, user, variant="on" if user % 4 else "off") for user in users[start : start + 50]]
            with as_application(database) as connection:
                record(connection, f"shop-{number}", batch)
            with as_application(database) as connection:
                record(connection, f"shop-{number}", batch)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    with connect(database) as connection:
        totals = {each.variant: each.users for each in read_totals(connection, "search", rollout)}
    assert totals == {"on": 675, "off": 225}


def test_a_writer_that_is_killed_before_its_commit_has_counted_nothing(database, rollout):
    batch = [outcome(rollout, user) for user in range(100)]
    with contextlib.closing(application_connection(database)) as connection, superuser(database) as root:
        record(connection, "shop-1", batch)
        root.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    with connect(database) as connection:
        assert read_totals(connection, "search", rollout) == []
    with as_application(database) as connection:
        assert [each.users for each in record(connection, "shop-1", batch)] == [100]


def test_whoever_sends_a_batch_again_while_the_first_is_under_way_waits_and_adds_nothing(database, rollout):
    batch = [outcome(rollout, user) for user in range(50)]
    with ThreadPoolExecutor(1) as pool, as_application(database) as first:
        record(first, "shop-1", batch)

        def again():
            with as_application(database) as second:
                return record(second, "shop-1", batch)

        waiting = pool.submit(again)
        _await_a_waiter(database, first.info.backend_pid)
        first.commit()
        assert [each.users for each in waiting.result(20)] == [50]


def _await_a_waiter(database, pid):
    # On a connection that commits each question: within one transaction PostgreSQL gives the first answer again and again.
    with superuser(database) as connection:
        while not connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", [pid]
        ).fetchone():
            time.sleep(0.01)


def test_an_empty_batch_says_that_the_instance_lives(database):
    with as_application(database) as connection:
        assert record(connection, "shop-9", []) == []
    with connect(database) as connection:
        first = heartbeats(connection)["shop-9"]
    with as_application(database) as connection:
        record(connection, "shop-9", [])
    with connect(database) as connection:
        assert heartbeats(connection)["shop-9"] > first


def test_instances_that_are_long_gone_make_room(database):
    with connect(database) as connection:
        connection.execute("INSERT INTO flags.heartbeats VALUES ('long-gone', now() - interval '8 days')")
    with as_application(database) as connection:
        record(connection, "newcomer", [])
    with connect(database) as connection:
        assert "newcomer" in heartbeats(connection)
        assert "long-gone" not in heartbeats(connection)


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "abc"},
        {"user": "zz" * 16},
        {"user": None},
        {"kind": "Not A Name"},
        {"step": -1},
        {"step": "first"},
        {"variant": ""},
        {"flag": "x" * 201},
    ],
)
def test_a_batch_that_can_never_be_taken_is_refused_whole(database, rollout, wrong):
    with pytest.raises(OutcomesRefused, match="outcomes of shop-1 are refused"), as_application(database) as connection:
        record(connection, "shop-1", [outcome(rollout, 1), outcome(rollout, 2)._replace(**wrong)])
    with connect(database) as connection:
        assert read_totals(connection, "search", rollout) == []


def test_a_batch_has_bounds(database, rollout):
    batch = [outcome(rollout, user) for user in range(MOST + 1)]
    with pytest.raises(OutcomesRefused, match="at most 10000"), as_application(database) as connection:
        record(connection, "shop-1", batch)
    with as_application(database) as connection:
        assert [each.users for each in record(connection, "shop-1", batch[1:])] == [MOST]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM flags.outcomes",
        "SELECT * FROM flags.flags",
        "SELECT * FROM flags.versions",
        "INSERT INTO flags.totals VALUES ('f', 'r', 1, 'on', 'error', 5)",
        "UPDATE flags.totals SET users = 1",
        "DELETE FROM flags.heartbeats",
        "SELECT * FROM steward.evidence",
        "CREATE TABLE flags.mine (a integer)",
        "CREATE TABLE public.mine (a integer)",
    ],
)
def test_an_application_may_count_and_nothing_else(database, statement):
    with as_application(database) as connection:
        assert connection.execute("SELECT count(*) >= 0 FROM flags.totals").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


ENDED = """
INSERT INTO steward.rollouts (operation_id, environment, release, flag, variant, plan, epoch, lease, lease_until, colour,
                              previous_colour, state, ended_at)
SELECT coalesce(max(operation_id), 0) + 1, 'production', 'v2', 'search', 'on', '{}', 1, '60 s', clock_timestamp(), 'green', 'blue',
       'certified', clock_timestamp() - %s::interval
  FROM steward.rollouts RETURNING id::text
"""


def test_single_users_of_a_rollout_that_ended_are_forgotten_and_their_number_stays(database):
    with connect(database) as connection:
        old, new = (connection.execute(ENDED, [ago]).fetchone()[0] for ago in ("25 h", "23 h"))
    with as_application(database) as connection:
        for rollout in (old, new):
            record(connection, "shop-1", [outcome(rollout, user) for user in range(20)])
    with connect(database) as connection:
        assert [forget_ended(connection, 1, at_most=15) for _ in range(2)] == [15, 5]
        assert [[each.users for each in read_totals(connection, "search", each)] for each in (old, new)] == [[20], [20]]
        assert forget_ended(connection, 1, at_most=15) == 0


def test_an_applications_user_who_was_made_later_gets_its_rights_by_the_next_migration(database):
    with connect(database) as connection:
        connection.execute("REVOKE ALL ON FUNCTION flags.record FROM flags_application")
    with pytest.raises(pg.InsufficientPrivilege), as_application(database) as connection:
        record(connection, "shop-1", [])
    assert not migrate(database).changed
    with as_application(database) as connection:
        assert record(connection, "shop-1", []) == []
