"""The gate of migrations on a real PostgreSQL: what is verified, what is refuted and named, and what is left behind."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from steward.clients.database_copy import MayNotCreate, copies
from steward.clients.postgres import Database, DatabaseUnavailable
from steward.pipeline.stage import StageFound
from steward.settings import Pipeline, PipelineDatabase, Settings
from steward.verdicts import Verdict
from tasks import pipeline_migrations
from tasks.pipeline_migrations import prove_migrations
from tests.integration.fresh_database import superuser
from tests.integration.pipeline.ground import Sources, candidate, space

pytestmark = pytest.mark.without_search

#: A migration tool of forty lines that starts in a tenth of Alembic's time, and speaks as it does.
TOOL = """
import os, pathlib, sys
import psycopg
verb, target = sys.argv[1], (sys.argv[2:] + [""])[0]
known = sorted(p.name.split(".")[0] for p in pathlib.Path("migrations").glob("*.up.sql"))
with psycopg.connect(os.environ["DATABASE_URL"]) as db:
    db.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)")
    row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    at = known.index(row[0]) + 1 if row else 0
    if verb == "current":
        print("INFO  [migration] of a database")
        print(f"{known[at - 1]} (head)" if at else "")
        sys.exit()
    to = {"head": len(known), "base": 0}.get(target, known.index(target) + 1 if target in known else None)
    step = 1 if to > at else -1
    while at != to:
        name = known[at if step > 0 else at - 1]
        db.execute(pathlib.Path(f"migrations/{name}.{'up' if step > 0 else 'down'}.sql").read_text())
        at += step
    db.execute("DELETE FROM alembic_version")
    if at:
        db.execute("INSERT INTO alembic_version VALUES (%s)", [known[at - 1]])
"""
COMPATIBLE = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as db:
    db.execute("INSERT INTO orders (state, amount) VALUES ('open', 3)")
    db.execute("SELECT amount FROM orders")
"""
FIRST = {
    "migrate.py": TOOL,
    "compatible.py": COMPATIBLE,
    "migrations/0001.up.sql": """
        CREATE TYPE mood AS ENUM ('calm', 'busy');
        CREATE TABLE customers (id int PRIMARY KEY, name varchar(5) NOT NULL UNIQUE, mood mood NOT NULL, at timestamptz);
        CREATE TABLE orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers,
            state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid')), amount numeric(10, 2) NOT NULL);
    """,
    "migrations/0001.down.sql": "DROP TABLE orders; DROP TABLE customers; DROP TYPE mood;",
}
TABLE: dict[str, object] = {
    "upgrade": ["python", "migrate.py", "upgrade", "{revision}"],
    "downgrade": ["python", "migrate.py", "downgrade", "{revision}"],
    "current": ["python", "migrate.py", "current"],
    "compatible_command": ["python", "compatible.py"],
}

NO_DATABASE: Any = SimpleNamespace(proving=Pipeline(folder=Path("/nowhere")))


@pytest.fixture(scope="module")
def role(replica, tmp_path_factory) -> Generator[tuple[str, Path]]:
    """A user who may create databases, and nothing else."""
    from replica import inventory  # noqa: PLC0415
    from steward.settings import load  # noqa: PLC0415

    name, password = f"pipeline_{secrets.token_hex(4)}", "a p%ss/word@" + secrets.token_hex(8)
    file = tmp_path_factory.mktemp("role") / "password"
    file.write_text(password)
    with superuser(load(inventory.settings_file(replica))) as db:
        db.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{password}'")
    yield name, file
    with superuser(load(inventory.settings_file(replica))) as db:
        db.execute(f"DROP ROLE {name}")


@pytest.fixture
def settings(settings: Settings, role, tmp_path) -> Settings:
    name, file = role
    server = conninfo_to_dict(settings.postgres.url)
    url = f"postgresql://{name}@{server['host']}:{server['port']}/postgres"
    told = Pipeline(folder=tmp_path, database=PipelineDatabase(url=url, password=f"file:{file}"))
    return settings.model_copy(update={"pipeline": told})


@pytest.fixture
def numbered(monkeypatch) -> None:
    monkeypatch.setattr(pipeline_migrations, "operation", lambda: SimpleNamespace(id=71, token=9))


@pytest.fixture
def proved(settings, numbered, tmp_path):
    """Prove what a second commit makes of the first; nothing is left on the server."""

    def prove(
        second: dict[str, str | None], *, first: dict[str, str | None] | None = None, **table: object
    ) -> StageFound:
        sources = Sources(tmp_path / "sources")
        old = sources.commit(FIRST if first is None else first)
        new = sources.commit(second)
        told = {"migrations": TABLE | table}
        before = {"migrations": TABLE | {key: value for key, value in table.items() if key != "seconds"}}
        found = prove_migrations(
            space(tmp_path / "space", sources),
            candidate(new, told, certified=old, certified_table=before),
            settings,
        )
        assert databases(settings) == []
        return found

    return prove


def databases(settings: Settings) -> list[str]:
    with superuser(settings) as db:
        rows = db.execute("SELECT datname FROM pg_database WHERE datname LIKE 'pipeline%'").fetchall()
    return [row[0] for row in rows]


def change(up: str, down: str) -> dict[str, str | None]:
    return {"migrations/0002.up.sql": up, "migrations/0002.down.sql": down}


def with_odd() -> dict[str, str | None]:
    """The first release with a table for which nobody can make up rows, and what seeds it."""
    odd = "CREATE TABLE odd (id int PRIMARY KEY, code text NOT NULL CHECK (code ~ '^[A-Z]{3}$'))"
    seed = COMPATIBLE.replace(
        "INSERT INTO orders (state, amount) VALUES ('open', 3)", "INSERT INTO odd VALUES (1, 'ABC')"
    )
    return FIRST | {"migrations/0001.up.sql": FIRST["migrations/0001.up.sql"] + odd, "seed.py": seed}


def test_a_migration_that_can_be_taken_back_and_that_the_release_before_runs_on_is_verified(proved):
    found = proved(
        change(
            "ALTER TABLE orders ADD note text; ALTER TABLE odd ADD note text; CREATE INDEX by_state ON orders (state)",
            "DROP INDEX by_state; ALTER TABLE orders DROP note; ALTER TABLE odd DROP note",
        ),
        first=with_odd(),
        seed=["python", "seed.py"],
    )
    assert found.verdict is Verdict.VERIFIED, found
    assert found.findings == ()
    assert "forward, backward and forward again: nothing lost, nothing left over; 0001 to 0002" in found.summary
    # One of the odd is the seed's; what the seed left empty is made up.
    assert found.figures == {
        "revision_before": "0001",
        "revision_after": "0002",
        "objects_changed": 3,
        "tables": 4,
        "tables_with_rows": 4,
        "rows": 52,
    }


def test_what_a_way_back_forgets_is_named(proved):
    found = proved(change("ALTER TABLE orders ADD note text; CREATE TABLE more (id int)", "DROP TABLE more"))
    assert found.verdict is Verdict.REFUTED
    assert found.findings[0] == "backward: column public.orders.note is left over"
    # Nor is there a second way forward over what is left.
    assert found.findings[1].startswith("upgrade again to head: python ended with 1")


def test_values_that_do_not_come_back_are_found_where_schema_and_counts_do(proved):
    found = proved(
        change(
            "ALTER TABLE customers DROP mood",
            "ALTER TABLE customers ADD mood mood NOT NULL DEFAULT 'calm'; ALTER TABLE customers ALTER mood DROP DEFAULT",
        ),
    )
    assert found.verdict is Verdict.REFUTED
    assert found.findings == ("backward: public.customers has other values in its 25 rows than before",)


def test_a_way_back_that_fails_is_refuted_beside_what_was_lost_on_the_way_there(proved):
    found = proved(
        change(
            "DELETE FROM orders WHERE state = 'paid'; ALTER TABLE orders ADD note text",
            "DO $$ BEGIN RAISE 'one-way' USING ERRCODE = '0A000'; END $$",
        )
    )
    assert found.verdict is Verdict.REFUTED
    lost, fails = found.findings
    assert lost.startswith("forward: public.orders has ")
    assert lost.endswith("rows, expected at least 25")
    assert fails.startswith("downgrade to 0001: python ended with 1")
    assert "one-way" in found.tail


def test_a_release_before_that_does_not_run_on_the_new_schema_refutes(proved):
    found = proved(change("ALTER TABLE orders RENAME amount TO cents", "ALTER TABLE orders RENAME cents TO amount"))
    assert found.verdict is Verdict.REFUTED
    assert found.findings[0].startswith("the release before on the new schema: python ended with 1")
    assert 'column "amount" of relation "orders" does not exist' in found.tail


def test_what_changed_and_nobody_has_seen_is_unknown(proved):
    ways = change("ALTER TABLE odd ADD note text", "ALTER TABLE odd DROP note")
    found = proved(ways, first=with_odd(), compatible_command=None)
    assert found.verdict is Verdict.UNKNOWN
    no_rows, no_test = found.findings
    assert no_rows == "public.odd is changed and had no row to lose: name a seed in [migrations]"
    assert no_test.startswith("the certified release names no compatible_command")


def test_a_migration_that_does_not_end_is_ended_and_is_unknown(proved):
    new = FIRST["migrate.py"].replace(
        "verb, target =", 'import time; time.sleep(600 if sys.argv[1] == "upgrade" else 0); verb, target ='
    )
    found = proved({"migrate.py": new} | change("SELECT 1", "SELECT 1"), seconds=2)
    assert found.verdict is Verdict.UNKNOWN
    assert "upgrade to head: python was not done in" in found.summary


def test_a_migration_that_fails_is_refuted_with_what_it_said_but_for_the_password(proved, role):
    loud = TOOL.replace("verb, target =", 'print(os.environ["DATABASE_URL"]); verb, target =', 1)
    found = proved({"migrate.py": loud} | change("SELECT broken", ""))
    assert found.verdict is Verdict.REFUTED
    assert found.summary.startswith("upgrade to head: python ended with 1")
    assert 'column "broken" does not exist' in found.tail
    assert f"postgresql://{role[0]}:***@127.0.0.1" in found.tail
    assert role[1].read_text() not in found.tail


def test_the_first_release_is_tried_from_an_empty_database(settings, numbered, tmp_path):
    sources = Sources(tmp_path / "sources")
    found = prove_migrations(
        space(tmp_path / "space", sources), candidate(sources.commit(FIRST), {"migrations": TABLE}), settings
    )
    assert found.verdict is Verdict.VERIFIED, found
    assert "base to 0001" in found.summary


def test_alembic_itself_is_told_the_database_and_the_revision(settings, numbered, tmp_path):
    sources = Sources(tmp_path / "sources")
    table: dict[str, object] = {"compatible_command": ["true"]}
    old = sources.commit(
        ALEMBIC
        | {
            "migrations/versions/one.py": version(
                "a1", None, "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('t')"
            )
        }
    )
    new = sources.commit(
        {
            "migrations/versions/two.py": version(
                "b2", "a1", "op.add_column('t', sa.Column('n', sa.Text))", "op.drop_column('t', 'n')"
            )
        }
    )
    found = prove_migrations(
        space(tmp_path / "space", sources), candidate(new, {"migrations": table}, certified=old), settings
    )
    assert found.verdict is Verdict.VERIFIED, found
    assert "a1 to b2, 1 objects changed, 26 rows in 2 of 2 tables" in found.summary


ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "migrations/env.py": """
import os
from alembic import context
from sqlalchemy import create_engine
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
""",
}


def version(revision: str, down: str | None, up: str, back: str) -> str:
    head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = {revision!r}, {down!r}\n"
    return f"{head}def upgrade(): {up}\ndef downgrade(): {back}\n"


def given(settings: Settings) -> Database:
    assert settings.pipeline
    told = settings.pipeline.database
    assert told
    return Database("pipeline.database", "", told.url, told.password, settings.vault)


#: A run that has made its database, says so, and is at work.
RUN = """
import sys
from steward.clients.database_copy import MayNotCreate, copies
from steward.clients.postgres import Database
with copies(Database("pipeline.database", "", sys.argv[1], sys.argv[2], None), 82, 5) as held:
    print(held.create("trial", seconds=60), flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_behind_is_dropped_by_the_next_and_a_living_runs_is_not(settings):
    database = given(settings)
    with copies(database, 81, 1) as living:
        living.create("trial", seconds=60)
        command = [sys.executable, "-c", RUN, database.url, database.password]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout
            assert run.stdout.readline() == "pipeline_82_5_trial\n"
            run.kill()
        assert databases(settings) == ["pipeline_81_1_trial", "pipeline_82_5_trial"]
        # The server has not always seen at once that the killed process is gone.
        cut_off(settings, "pipeline_82_5")
        with copies(database, 82, 6) as next_attempt:
            next_attempt.create("trial", seconds=60)
            assert databases(settings) == ["pipeline_81_1_trial", "pipeline_82_6_trial"]
    assert databases(settings) == []


def test_a_user_who_may_create_no_databases_is_told_what_it_needs(settings, role):
    with superuser(settings) as db:
        db.execute(f"ALTER ROLE {role[0]} NOCREATEDB")
        with pytest.raises(MayNotCreate, match="CREATEDB"), copies(given(settings), 84, 1) as held:
            held.create("trial", seconds=60)
        db.execute(f"ALTER ROLE {role[0]} CREATEDB")


def cut_off(settings: Settings, owner: str) -> None:
    with superuser(settings) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s",
            [f"steward {owner}"],
        )


def test_what_was_found_while_the_server_was_away_is_no_verdict(proved, settings):
    original = pipeline_migrations.Workspace.run

    def run(self, command, *rest):
        if "downgrade" in command:
            cut_off(settings, "pipeline_71_9")
        return original(self, command, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipeline_migrations.Workspace, "run", run)
        with pytest.raises(DatabaseUnavailable) as caught:
            proved(change("ALTER TABLE orders ADD note text", "DROP TABLE nowhere"))
    assert caught.value.transient
    with copies(given(settings), 71, 10):
        assert databases(settings) == []


def test_in_a_database_of_a_run_no_statement_waits_longer_than_its_time(settings):
    with copies(given(settings), 83, 1) as held, held.connected(held.create("trial", seconds=60)) as db:
        limits = db.execute(
            "SELECT s FROM pg_db_role_setting, unnest(setconfig) s WHERE setdatabase = (SELECT oid FROM pg_database "
            "WHERE datname = current_database()) ORDER BY 1"
        ).fetchall()
    assert [row[0] for row in limits] == ["lock_timeout=10s", "statement_timeout=60s"]


def test_no_new_migration_is_verified_with_that_said(proved):
    found = proved({"other.txt": "x"})
    assert found.verdict is Verdict.VERIFIED
    assert found.summary.startswith("no migration that the certified release has not")


def test_a_repository_without_migrations_is_verified_with_that_said(tmp_path):
    sources = Sources(tmp_path / "sources")
    old, new = sources.commit({"a": "a"}), sources.commit({"a": "b"})
    asked = candidate(new, {"migrations": TABLE}, certified=old)
    found = prove_migrations(space(tmp_path / "space", sources), asked, NO_DATABASE)
    assert (found.verdict, found.summary) == (Verdict.VERIFIED, "no migrations: there is no folder migrations")


def test_migrations_that_there_is_no_server_to_try_on_are_unknown(tmp_path):
    sources = Sources(tmp_path / "sources")
    asked = candidate(sources.commit(FIRST), {"migrations": TABLE})
    found = prove_migrations(space(tmp_path / "space", sources), asked, NO_DATABASE)
    assert found.verdict is Verdict.UNKNOWN
    assert "no [pipeline.database]" in found.summary


def test_migrations_that_are_gone_are_refuted(proved):
    found = proved({name: None for name in FIRST if name.startswith("migrations/")})
    assert found.verdict is Verdict.REFUTED
    assert "the folder migrations is gone" in found.summary
