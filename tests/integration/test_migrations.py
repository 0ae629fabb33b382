from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as pg

from steward.__main__ import main
from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.migrations import versions
from steward.migrations.apply import DatabaseNewer, Migrated, migrate
from tests.integration.fresh_database import fresh_database

pytestmark = pytest.mark.without_search

LATEST = max(file.name[:4] for file in Path(versions.__path__[0]).glob("[0-9]*.py"))


@pytest.fixture
def empty(settings):
    with fresh_database(settings) as fresh:
        yield fresh


def _tables(settings) -> set[str]:
    with connect(settings) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'steward'").fetchall()
    return {name for (name,) in rows}


def test_an_empty_database_gets_the_whole_schema(empty):
    assert migrate(empty) == Migrated(None, LATEST)
    assert _tables(empty) > {"alembic_version", "evidence", "snapshot_nights", "tenant_proofs", "operations"}


def test_a_second_migration_changes_nothing(empty):
    migrate(empty)
    again = migrate(empty)
    assert again == Migrated(LATEST, LATEST)
    assert not again.changed


def test_a_database_of_an_older_version_keeps_its_rows(empty):
    assert migrate(empty, "0001") == Migrated(None, "0001")
    assert migrate(empty) == Migrated("0001", LATEST)


def test_several_migrations_at_once_take_turns(empty):
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: migrate(empty), range(6)))
    assert sorted(done, key=lambda one: one.before or "") == [Migrated(None, LATEST), *[Migrated(LATEST, LATEST)] * 5]


def test_a_migration_that_fails_leaves_nothing_behind(empty):
    with connect(empty) as connection:
        connection.execute("CREATE SCHEMA steward")
        connection.execute("CREATE TABLE steward.tenant_proofs (mine text)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate(empty)
    assert _tables(empty) == {"tenant_proofs"}


def test_a_database_of_a_newer_version_is_refused(empty):
    migrate(empty)
    with connect(empty) as connection:
        connection.execute("UPDATE steward.alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseNewer, match="revision 9999"):
        migrate(empty)


def test_an_unknown_revision_is_refused(empty):
    with pytest.raises(BadInput, match="cannot migrate to 7777"):
        migrate(empty, "7777")


def test_the_command_says_what_it_did(empty, tmp_path, capsys):
    path = tmp_path / "settings.json"
    path.write_text(_toml(empty.model_copy(update={"keyring": None})))
    assert main(["migrate", "--settings", str(path)]) == 0
    assert main(["migrate", "--settings", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "schema steward migrated from an empty database to revision " + LATEST,
        f"schema steward is at revision {LATEST}: nothing to do",
    ]


def test_the_command_fails_in_words(tmp_path, capsys):
    assert main(["migrate", "--settings", str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err.startswith("ERROR: cannot read settings")


NIGHT = "INSERT INTO steward.snapshot_nights (cluster, night, attempt, snapshot, verdict) VALUES "


@pytest.mark.parametrize(
    "values", ["('production', '2025-07-31', 1, 's', 'GREEN')", "('production', '2025-07-31', 0, 's', 'VERIFIED')"]
)
def test_a_night_out_of_bounds_is_refused_by_the_database(empty, values):
    migrate(empty)
    with pytest.raises(pg.CheckViolation), connect(empty) as connection:
        connection.execute(NIGHT + values)


def test_a_snapshot_is_entered_once(empty):
    migrate(empty)
    with connect(empty) as connection:
        connection.execute(NIGHT + "('production', '2025-07-31', 1, 's', NULL)")
    with pytest.raises(pg.UniqueViolation), connect(empty) as connection:
        connection.execute(NIGHT + "('production', '2025-07-31', 2, 's', NULL)")


def _toml(settings) -> str:
    import tomli_w  # noqa: PLC0415 # needed by this one helper

    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))
