"""Databases for one run: gone when it is over, a dead run's by the next, and a living run's never."""

from __future__ import annotations

import subprocess
import sys

import pytest

from steward.clients.database_copy import MayNotCreate, copies
from tests.integration.fresh_database import superuser
from tests.integration.pipeline.copies import cut_off, databases, given

pytestmark = pytest.mark.without_search

#: A run that has made its database, says so, and is at work.
RUN = """
import sys
from steward.clients.database_copy import MayNotCreate, copies
from steward.clients.postgres import Database
with copies(Database("pipeline.database", "", sys.argv[1], sys.argv[2], None), 82, 5) as held:
    print(held.create("trial", seconds=60), flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_behind_is_dropped_by_the_next_and_a_living_runs_is_not(trying):
    database = given(trying)
    with copies(database, 81, 1) as living:
        living.create("trial", seconds=60)
        command = [sys.executable, "-c", RUN, database.url, database.password]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout
            assert run.stdout.readline() == "pipeline_82_5_trial\n"
            run.kill()
        assert databases(trying) == ["pipeline_81_1_trial", "pipeline_82_5_trial"]
        # The server has not always seen at once that the killed process is gone.
        cut_off(trying, "pipeline_82_5")
        with copies(database, 82, 6) as next_attempt:
            next_attempt.create("trial", seconds=60)
            assert databases(trying) == ["pipeline_81_1_trial", "pipeline_82_6_trial"]
    assert databases(trying) == []


def test_a_user_who_may_create_no_databases_is_told_what_it_needs(trying, role):
    with superuser(trying) as db:
        db.execute(f"ALTER ROLE {role[0]} NOCREATEDB")
        with pytest.raises(MayNotCreate, match="CREATEDB"), copies(given(trying), 84, 1) as held:
            held.create("trial", seconds=60)
        db.execute(f"ALTER ROLE {role[0]} CREATEDB")


def test_in_a_database_of_a_run_no_statement_waits_longer_than_its_time(trying):
    with copies(given(trying), 83, 1) as held, held.connected(held.create("trial", seconds=60)) as db:
        limits = db.execute(
            "SELECT s FROM pg_db_role_setting, unnest(setconfig) s WHERE setdatabase = (SELECT oid FROM pg_database "
            "WHERE datname = current_database()) ORDER BY 1"
        ).fetchall()
    assert [row[0] for row in limits] == ["lock_timeout=10s", "statement_timeout=60s"]
