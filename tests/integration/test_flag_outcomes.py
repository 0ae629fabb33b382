"""Outcomes of an application's users in a real database: exact whatever is repeated, concurrent, away or hanging."""

from __future__ import annotations

import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from replica import inventory
from steward.clients.postgres import connect
from steward.flags.application import Outcomes, PostgresStore, Writer, store
from steward.flags.application.store import StoreAway
from steward.migrations.guests import FLAGS_APPLICATION
from steward.settings import load
from tests.integration.flags_ground import flags_database
from tests.integration.fresh_database import superuser

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def database(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture
def opened(database):
    """A process's part of it: what it notes, and what writes that."""
    writers = []
    server = conninfo_to_dict(database.postgres.url)
    url = f"postgresql://{FLAGS_APPLICATION}@{server['host']}:{server['port']}/{server['dbname']}"
    password = Path(database.postgres.password.removeprefix("file:")).with_name(f"postgres.{FLAGS_APPLICATION}")

    def opened(instance="shop-1", given=lambda: password.read_text().strip()):
        outcomes, kept = Outcomes(b"salt"), PostgresStore(url, given, instance)
        writers.append(kept)
        return outcomes, Writer(outcomes, kept)

    yield opened
    for kept in writers:
        kept.close()


@pytest.fixture
def rollout():
    return secrets.token_hex(4)


def visited(outcomes, rollout, users, *, failing=(), variant="on", step=1):
    for user in users:
        seen = outcomes.exposed("search", variant, {"rollout": rollout, "step": step}, str(user))
        outcomes.ended([seen], failed=user in failing, seconds=0)


def told(writer):
    return {(total.at.step, total.variant, total.kind): total.users for total in writer.totals}


def test_all_instances_come_to_the_same_exact_totals(opened, rollout):
    first, second = opened("shop-1"), opened("shop-2")
    visited(first[0], rollout, range(600), failing=range(0, 600, 10))
    visited(second[0], rollout, range(300, 900), failing=range(0, 900, 10))
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda one: one[1].write(), (first, second)))
    # Nothing is new to either, but what the other wrote.
    for _, writer in (first, second):
        writer.write()
        assert told(writer) == {(1, "on", "exposed"): 900, (1, "on", "error"): 90}


def test_what_was_written_by_a_process_that_did_not_live_to_know_it_counts_once(opened, rollout):
    outcomes, writer = opened()
    visited(outcomes, rollout, range(50), failing={7})
    lost = outcomes.take(999)
    writer._store.record(lost)
    again, another = opened("shop-2")
    visited(again, rollout, range(50), failing={7})
    another.write()
    another.write()
    assert told(another) == {(1, "on", "exposed"): 50, (1, "on", "error"): 1}


def test_requests_go_on_while_the_database_is_away_and_all_are_counted_when_it_is_back(opened, database, rollout):
    outcomes, writer = opened()
    visited(outcomes, rollout, range(10))
    writer.write()
    fresh_until, name = writer.recorded_at, conninfo_to_dict(database.postgres.url)["dbname"]
    with superuser(database) as above:
        above.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        above.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            visited(outcomes, rollout, range(20), failing={3, 13})
            for _ in range(2):
                with pytest.raises(StoreAway):
                    writer.write()
        finally:
            above.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert (outcomes.waiting, writer.recorded_at) == (12, fresh_until)
    writer.write()
    assert (outcomes.waiting, outcomes.dropped) == (0, 0)
    assert writer.recorded_at > fresh_until
    assert told(writer) == {(1, "on", "exposed"): 20, (1, "on", "error"): 2}


def test_a_database_that_hangs_is_cut_off_and_asked_again(opened, database, rollout, monkeypatch):
    monkeypatch.setattr(store, "_ANSWER_SECONDS", 0.3)
    outcomes, writer = opened()
    visited(outcomes, rollout, range(5))
    with connect(database) as other:
        other.execute("LOCK TABLE flags.totals")
        with pytest.raises(StoreAway):
            writer.write()
    monkeypatch.undo()
    writer.write()
    assert told(writer) == {(1, "on", "exposed"): 5}


def test_no_password_is_told_by_what_goes_wrong(opened, rollout, caplog):
    caplog.set_level(logging.DEBUG)
    outcomes, writer = opened(given=lambda: "hunter2")
    visited(outcomes, rollout, range(3))
    with pytest.raises(StoreAway) as away:
        writer.write()
    writer._tried()
    assert "hunter2" not in f"{away.value!r} {away.value.__cause__!r} {caplog.text}"
    assert "outcomes wait for the database" in caplog.text
    assert outcomes.waiting == 3
