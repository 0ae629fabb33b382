"""Hours of the ledger in the database: closed once, between writers and not through them, and kept as a file row by row."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from psycopg import errors as pg

from replica import inventory
from steward.ai.sealing import CheckedHour, plan_hours
from steward.clients.attempts_hours import (
    close_hour,
    closed_hour,
    discard_edition,
    keep_sealed,
    sealed_hour,
    survey,
)
from steward.clients.attempts_parquet import compare_parquet, export_hour, parquet_figures, write_parquet
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.migrations.apply import migrate
from steward.settings import load
from tasks import sealing_attempts
from tests.integration.attempts_ground import hour_ago, past, planted
from tests.integration.fresh_database import fresh_database
from tests.keyring_ground import query

pytestmark = pytest.mark.without_search

SETTLE = (
    "UPDATE steward.ai_attempts SET state = 'settled', ending = 'cut', input_uncached = 1, input_cached = 0, "
    "cache_write = 0, cache_write_5m = 0, cache_write_1h = 0, output = 1, reasoning = 0, audio_input = 0, "
    "audio_output = 0, web_searches = 0, web_fetches = 0"
)


@pytest.fixture
def book(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


@contextmanager
def closed(book, hours=3, **values):
    """An hour of that long ago with attempts, closed."""
    planted(book, hours, **values)
    with connect(book) as db:
        assert close_hour(db, hour_ago(hours)) is None
        yield closed_hour(db, hour_ago(hours))


def waits(book):
    """Somebody waits for an hour."""
    give_up = time.monotonic() + 20
    while not query(
        book, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    ):
        assert time.monotonic() < give_up, "nobody waits"
        time.sleep(0.01)


def test_an_hour_is_closed_behind_whoever_writes_into_it(book):
    planted(book, 3, count=1, state="unknown")

    def close():
        with connect(book) as db:
            return close_hour(db, hour_ago(3)) or closed_hour(db, hour_ago(3))

    with ThreadPoolExecutor(1) as pool:
        with connect(book) as writer:
            writer.execute(SETTLE)
            closing = pool.submit(close)
            waits(book)
        assert {name: each.rows for name, each in closing.result().states.items()} == {"settled": 1}


def test_whoever_comes_while_an_hour_closes_is_refused(book):
    planted(book, 3, count=1, state="unknown")

    def settle():
        with connect(book) as db:
            db.execute(SETTLE)

    with ThreadPoolExecutor(1) as pool:
        with connect(book) as closer:
            # In a transaction that is under way, as the step's is.
            closer.execute("SELECT 1")
            assert close_hour(closer, hour_ago(3)) is None
            writing = pool.submit(settle)
            waits(book)
        with pytest.raises(pg.RestrictViolation, match="which is closed"):
            writing.result()
    assert query(book, "SELECT state FROM steward.ai_attempts") == [("unknown",)]


def test_no_hour_is_closed_before_its_time_nor_past_a_gap(book):
    planted(book, 4)
    with connect(book) as db:
        assert "not over" in close_hour(db, hour_ago(0)).reason
        assert "before" in close_hour(db, hour_ago(2)).reason
        assert close_hour(db, hour_ago(4)) is None
        assert close_hour(db, hour_ago(4)) is None
        assert "before" in close_hour(db, hour_ago(2)).reason
        # Closed and not sealed: it is still due.
        assert plan_hours(survey(db))[0] == hour_ago(4)


@pytest.mark.parametrize("state", ["reserved", "sent"])
def test_an_hour_with_open_attempts_in_it_or_before_is_not_closed(book, state):
    planted(book, 3, count=2, state=state)
    with connect(book) as db:
        assert "2 attempts of the hour" in close_hour(db, hour_ago(3)).reason
        assert "or before" in close_hour(db, hour_ago(2)).reason


def test_a_file_has_every_row_and_figure_whatever_is_in_a_name(book, tmp_path):
    planted(book, 3, count=5, state="aborted")
    with closed(book, count=40) as hour, connect(book) as db:
        export_hour(db, hour.hour, tmp_path / "hour.csv")
    write_parquet(tmp_path / "hour.csv", tmp_path / "hour.parquet")
    assert compare_parquet(tmp_path / "hour.csv", tmp_path / "hour.parquet") == []
    assert parquet_figures(tmp_path / "hour.parquet") == hour.states
    assert {name: each.rows for name, each in hour.states.items()} == {"aborted": 5, "settled": 40}


def written(folder, name, text):
    (folder / f"{name}.csv").write_text(text)
    write_parquet(folder / f"{name}.csv", folder / f"{name}.parquet")


def test_a_file_that_is_not_the_hour_differs(book, tmp_path):
    with closed(book, count=4) as hour, connect(book) as db:
        export_hour(db, hour.hour, tmp_path / "hour.csv")
    text = (tmp_path / "hour.csv").read_text()
    # A name holds a line feed, so that a row ends with what follows it.
    *_, last = text.split("globex")
    shorter = text[: text.rindex("\n", 0, text.rindex(last) - len("globex"))] + "\n"
    for name, other in (
        ("figure", text.replace(",7,7,", ",7,8,", 1)),
        ("name", text.replace("claude", "claudia", 1)),
        ("fewer", shorter),
    ):
        written(tmp_path, name, other)
        assert compare_parquet(tmp_path / "hour.csv", tmp_path / f"{name}.parquet")[0].startswith("1 of 4 attempts")
    write_parquet(tmp_path / "hour.csv", tmp_path / "more.parquet")
    assert "one it does not have" in compare_parquet(tmp_path / "fewer.csv", tmp_path / "more.parquet")[0]
    (tmp_path / "none.parquet").write_bytes(b"no parquet at all")
    assert "cannot be read" in compare_parquet(tmp_path / "hour.csv", tmp_path / "none.parquet")[0]


def test_a_row_that_changed_behind_the_guard_is_seen(book):
    with closed(book) as hour:
        pass
    with open_evidence_bucket(book) as bucket:
        stored = sealing_attempts._store(book, bucket, hour)
        assert sealing_attempts._findings(book, bucket, stored) == ()
        past(book, ("UPDATE steward.ai_attempts SET output = output + 1 WHERE latency_ms = 2", {}))
        (found,) = sealing_attempts._findings(book, bucket, stored)
        assert "1 of 3 attempts are not as the ledger has them" in found
        # Stored again, the locked file is found, and taken for what it is.
        again = sealing_attempts._store(book, bucket, hour)
    assert again == stored
    with connect(book) as db:
        for _ in range(2):
            discard_edition(db, CheckedHour(stored=stored, findings=(found,)))
        assert closed_hour(db, hour.hour).object_key.endswith(".e2.parquet")


def test_what_is_sealed_stays_as_it_was_sealed(book):
    with closed(book) as hour, open_evidence_bucket(book) as bucket:
        stored = sealing_attempts._store(book, bucket, hour)
    with connect(book) as db:
        assert sealed_hour(db, hour.hour) is None
        made = keep_sealed(db, stored, "a" * 64, 7)
        assert made == keep_sealed(db, stored, "a" * 64, 8) == sealed_hour(db, hour.hour)
        assert keep_sealed(db, stored, "b" * 64, 8) is None
    for change in ("UPDATE steward.ai_hours SET rows = 0", "DELETE FROM steward.ai_hours", "TRUNCATE steward.ai_hours"):
        with pytest.raises(pg.RestrictViolation), connect(book) as db:
            db.execute(change)
