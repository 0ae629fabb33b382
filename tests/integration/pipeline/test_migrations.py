"""The gate of migrations on a real PostgreSQL: what is verified, what is refuted and named, and what is left behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steward.clients.database_copy import copies
from steward.clients.postgres import DatabaseUnavailable
from steward.pipeline.stage import StageFound
from steward.settings import Pipeline
from steward.verdicts import Verdict
from tasks import pipeline_migrations
from tasks.pipeline_migrations import prove_migrations
from tests.integration.pipeline.copies import cut_off, databases, given
from tests.integration.pipeline.ground import Sources, candidate, space
from tests.integration.pipeline.tiny_migrations import ALEMBIC, COMPATIBLE, FIRST, TABLE, TOOL, version

pytestmark = pytest.mark.without_search

NO_DATABASE: Any = SimpleNamespace(proving=Pipeline(folder=Path("/nowhere")))


@pytest.fixture
def numbered(monkeypatch) -> None:
    monkeypatch.setattr(pipeline_migrations, "operation", lambda: SimpleNamespace(id=71, token=9))


@pytest.fixture
def proved(trying, numbered, tmp_path):
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
            trying,
        )
        assert databases(trying) == []
        return found

    return prove


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
    found = proved({"migrate.py": new} | change("SELECT 1", "SELECT 1"), seconds=10)
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


def test_the_first_release_is_tried_from_an_empty_database(trying, numbered, tmp_path):
    sources = Sources(tmp_path / "sources")
    found = prove_migrations(
        space(tmp_path / "space", sources), candidate(sources.commit(FIRST), {"migrations": TABLE}), trying
    )
    assert found.verdict is Verdict.VERIFIED, found
    assert "base to 0001" in found.summary


def test_alembic_itself_is_told_the_database_and_the_revision(trying, numbered, tmp_path):
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
        space(tmp_path / "space", sources), candidate(new, {"migrations": table}, certified=old), trying
    )
    assert found.verdict is Verdict.VERIFIED, found
    assert "a1 to b2, 1 objects changed, 26 rows in 2 of 2 tables" in found.summary


def test_what_was_found_while_the_server_was_away_is_no_verdict(proved, trying):
    original = pipeline_migrations.Workspace.run

    def run(self, command, *rest):
        if "downgrade" in command:
            cut_off(trying, "pipeline_71_9")
        return original(self, command, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipeline_migrations.Workspace, "run", run)
        with pytest.raises(DatabaseUnavailable) as caught:
            proved(change("ALTER TABLE orders ADD note text", "DROP TABLE nowhere"))
    assert caught.value.transient
    with copies(given(trying), 71, 10):
        assert databases(trying) == []


def test_no_new_migration_is_verified_with_that_said(proved):
    found = proved({"other.txt": "x"})
    assert found.verdict is Verdict.VERIFIED
    assert found.summary.startswith("no migration that the certified release has not")


def test_two_heads_are_the_candidates_and_what_fails_before_it_is_not(proved):
    two = TOOL.replace('print(f"{known[at - 1]} (head)" if at else "")', 'print("a1 (head)\\nb2 (head)")')
    assert two != TOOL
    found = proved({"migrate.py": two} | change("SELECT 1", "SELECT 1"))
    assert (found.verdict, found.findings) == (Verdict.REFUTED, ("the database is at 2 revisions at once: a1, b2",))


def test_migrations_of_the_certified_release_that_fail_say_nothing_of_the_candidate(proved):
    found = proved(change("SELECT 1", "SELECT 1"), first=FIRST | {"migrations/0001.up.sql": "SELECT broken"})
    assert found.verdict is Verdict.UNKNOWN
    assert found.summary.startswith("upgrade of the certified release to head: python ended with 1")


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
