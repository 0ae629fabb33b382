from __future__ import annotations

import time
import traceback

import pytest
from psycopg import errors as pg

from steward.clients import postgres
from steward.clients.postgres import (
    DatabaseNotMigrated,
    DatabaseRefused,
    DatabaseUnavailable,
    DatabaseUrlUnusable,
    connect,
)
from steward.errors import BadInput
from steward.settings import read_secret
from tests.integration.closed_doors import closed_port, silent_port
from tests.integration.fresh_database import changed, fresh_database, superuser

pytestmark = pytest.mark.without_search


@pytest.fixture
def empty(settings):
    with fresh_database(settings) as fresh:
        yield fresh


def _one(settings, query):
    with connect(settings) as connection:
        return connection.execute(query).fetchone()[0]


def _raised(kind, settings, query="SELECT 1"):
    with pytest.raises(kind) as raised, connect(settings) as connection:
        connection.execute(query)
    return raised.value


def _insert_and_fail(settings):
    with connect(settings) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
        raise KeyError


def _cut_off(settings):
    with connect(settings) as connection, superuser(settings) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        connection.execute("SELECT 1")


def test_a_block_that_ends_is_committed_and_one_that_raises_is_rolled_back(empty):
    with connect(empty) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    with pytest.raises(KeyError):
        _insert_and_fail(empty)
    assert _one(empty, "SELECT count(*) FROM kept") == 0


def test_every_connection_has_time_limits_and_a_name(settings):
    limits = "concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'))"
    assert _one(settings, f"SELECT {limits}") == "30s 10s"
    assert _one(settings, "SELECT current_setting('idle_in_transaction_session_timeout')") == "30s"
    assert _one(settings, "SELECT current_setting('application_name')") == "steward"


def test_a_statement_that_takes_too_long_is_given_up_and_may_be_retried(settings):
    started = time.monotonic()
    with (
        pytest.raises(DatabaseUnavailable, match="statement timeout") as raised,
        connect(settings, statement_timeout_seconds=1) as connection,
    ):
        connection.execute("SELECT pg_sleep(30)")
    assert raised.value.transient
    assert time.monotonic() - started < 5


def test_a_wrong_password_is_refused_and_told_nowhere(settings, tmp_path):
    wrong = tmp_path / "password"
    wrong.write_text("hunter2-hunter2\n")
    error = _raised(DatabaseRefused, changed(settings, "postgres", password=f"file:{wrong}"))
    assert "password authentication failed" in error.message
    assert "postgres.password" in error.hint
    assert not error.transient
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_the_right_password_is_told_nowhere_either(settings):
    secret = read_secret(settings.postgres.password)
    port = closed_port()
    away = changed(settings, "postgres", url=f"postgresql://steward@127.0.0.1:{port}/steward")
    error = _raised(DatabaseUnavailable, away)
    assert secret not in "".join(traceback.format_exception(error))
    assert secret not in repr(settings)


def test_a_missing_database_is_named(settings):
    url = settings.postgres.url.rsplit("/", 1)[0] + "/absent"
    error = _raised(DatabaseRefused, changed(settings, "postgres", url=url))
    assert 'database "absent" does not exist' in error.message


def test_a_port_where_nothing_listens_is_transient(settings):
    port = closed_port()
    error = _raised(
        DatabaseUnavailable, changed(settings, "postgres", url=f"postgresql://steward@127.0.0.1:{port}/steward")
    )
    assert error.transient
    assert f"127.0.0.1:{port}/steward" in error.message


def test_a_frozen_server_is_given_up_in_time(settings, monkeypatch):
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT_SECONDS", 2)
    started = time.monotonic()
    with silent_port() as port:
        _raised(
            DatabaseUnavailable, changed(settings, "postgres", url=f"postgresql://steward@127.0.0.1:{port}/steward")
        )
    assert time.monotonic() - started < 6


def test_a_connection_that_the_server_ends_is_transient(empty):
    with pytest.raises(DatabaseUnavailable) as raised:
        _cut_off(empty)
    assert raised.value.transient


def test_a_database_without_migrations_says_what_to_run(empty):
    error = _raised(DatabaseNotMigrated, empty, "SELECT 1 FROM steward.evidence")
    assert error.hint == "run: python -m steward migrate"
    assert "steward.evidence" in error.message


def test_a_user_without_rights_is_refused_in_words(settings):
    error = _raised(DatabaseRefused, settings, "SELECT pg_read_file('/etc/hostname')")
    assert "permission denied" in error.message


@pytest.mark.parametrize(
    "url",
    ["postgresql://steward:hunter2@127.0.0.1/steward", "postgresql://s@h/d?password=hunter2", "postgresql://[hunter2"],
)
def test_a_url_that_holds_a_password_or_cannot_be_read_is_refused_and_not_repeated(settings, url):
    error = _raised(DatabaseUrlUnusable, changed(settings, "postgres", url=url))
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_a_missing_password_file_is_named(settings, tmp_path):
    error = _raised(BadInput, changed(settings, "postgres", password=f"file:{tmp_path}/absent"))
    assert "absent" in error.message


def test_mistakes_of_ours_stay_what_they_are(settings):
    for kind, query in ((pg.SyntaxError, "SELEKT 1"), (pg.DivisionByZero, "SELECT 1/0")):
        assert _raised(kind, settings, query).__cause__ is None
