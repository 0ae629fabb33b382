"""The keyring's history, apart from Steward's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.clients.keyring import open_keyring
from steward.clients.postgres import DatabaseNotMigrated
from steward.errors import BadInput
from steward.migrations.apply import Migrated, ReaderMissing, migrate_keyring
from tests.integration.fresh_keyring import connect, empty_keyring

pytestmark = pytest.mark.without_search


@pytest.fixture
def empty(settings):
    with empty_keyring(settings) as fresh:
        yield fresh


def test_several_migrations_of_an_empty_keyring_take_turns(empty):
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate_keyring(empty), range(4)))
    assert sorted(done, key=lambda one: one.before or "") == [Migrated(None, "0001"), *[Migrated("0001", "0001")] * 3]


def test_a_keyring_without_migrations_says_what_to_run(empty):
    with open_keyring(empty.keyring) as client, pytest.raises(DatabaseNotMigrated) as raised:
        client.load("acme")
    assert raised.value.hint == "run: python -m steward migrate"


def test_settings_without_a_keyring_have_none_to_migrate(settings):
    with pytest.raises(BadInput, match="name no keyring"):
        migrate_keyring(settings.model_copy(update={"keyring": None}))


def test_a_server_without_the_readers_user_is_told_before_anything_is_laid(empty, monkeypatch):
    monkeypatch.setattr("steward.migrations.apply.READER", "nobody_of_this_name")
    with pytest.raises(ReaderMissing, match="nobody_of_this_name"):
        migrate_keyring(empty)
    with connect(empty.keyring) as connection:
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'keyring'").fetchone() is None


def test_steward_and_the_keyring_have_histories_of_their_own(empty, settings):
    migrate_keyring(empty)
    with connect(empty.keyring) as connection:
        schemas = connection.execute("SELECT DISTINCT table_schema FROM information_schema.tables").fetchall()
    assert ("steward",) not in schemas
    assert ("keyring",) in schemas
