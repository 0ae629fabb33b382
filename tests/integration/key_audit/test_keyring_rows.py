"""Generations, wraps and readers of the keyring that were left behind are named."""

from __future__ import annotations

import os
import uuid

import pytest
from psycopg import sql

from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault

pytestmark = pytest.mark.without_search


def backdated(ground, column, state, days):
    with ground.hand(unruled=True) as connection:
        statement = (
            "UPDATE keyring.generations SET {0} = {0} - %s * interval '1 day' WHERE tenant = 'acme' AND state = %s"
        )
        connection.execute(sql.SQL(statement).format(sql.Identifier(column)), (days, state))


def test_generations_that_stayed_too_long_in_a_state_are_named(ground):
    settings = ground.settings
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring) as keyring:
        backdated(ground, "created_at", "current", 36)
        assert set(ground.found("keyring")) == {"generation-too-old:acme/1"}
        (_, second) = keyring.add_generation("acme", vault).generations
        backdated(ground, "created_at", "incoming", 2)
        assert set(ground.found("keyring")) == {"generation-too-old:acme/1", "generation-incoming-left:acme/2"}
        (first, _) = keyring.switch("acme", second.key_id).generations
        backdated(ground, "superseded_at", "previous", 15)
        assert set(ground.found("keyring")) == {"generation-previous-left:acme/1"}
        keyring.retire("acme", first.key_id)
        backdated(ground, "retired_at", "retired", 41)
        assert set(ground.found("keyring")) == {"generation-retired-left:acme/1"}
        keyring.destroy("acme", first.key_id)
    assert ground.found("keyring") == {}


def test_a_key_that_was_lost_behind_the_triggers_back_is_named(ground):
    with ground.hand(unruled=True) as connection:
        connection.execute(
            "DELETE FROM keyring.wraps w USING keyring.generations g WHERE tenant = 'acme' AND w.key_id = g.key_id"
        )
        connection.execute("UPDATE keyring.generations SET state = 'previous' WHERE tenant = 'globex'")
    # Both lack a wrap or a current generation; what is not current need not be under the newest version.
    assert {each for each in ground.found("keyring") if each.startswith("generation-broken")} == {
        "generation-broken:acme/1",
        "generation-broken:globex/0",
    }


def test_of_many_old_generations_fifty_are_named_and_all_are_counted(ground):
    with ground.hand(unruled=True) as connection:
        connection.execute(
            """
            WITH planted AS (
                INSERT INTO keyring.tenants (tenant) SELECT 'many-' || n FROM generate_series(1, 60) n RETURNING tenant
            ), made AS (
                INSERT INTO keyring.generations (key_id, tenant, number, state, created_at)
                SELECT nextval('keyring.key_ids'), tenant, 1, 'current', clock_timestamp() - interval '40 days' FROM planted
                RETURNING key_id
            ) INSERT INTO keyring.wraps (key_id, kek, wrapped)
            SELECT key_id, (SELECT kek FROM keyring.wraps LIMIT 1), (SELECT wrapped FROM keyring.wraps LIMIT 1) FROM made
            """
        )
    found = ground.found("keyring")
    assert len(found) == 51
    assert found["generation-too-old:others"].seen == "10 more generations"


def test_a_reader_that_did_not_follow_a_change_is_named_and_one_that_fell_silent_is_not(ground):
    reader = uuid.uuid4()
    settings = ground.settings
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring) as keyring:
        keyring.acknowledge(reader, keyring.epoch())
        keyring.enrol("initech", vault)
        assert ground.found("keyring") == {}
        with ground.hand(unruled=True) as connection:
            connection.execute("UPDATE keyring.epochs SET noted_at = noted_at - interval '1 hour'")
        (lagging,) = ground.found("keyring")
        assert lagging == f"reader-lagging:{os.uname().nodename}/{os.getpid()}"
        with ground.hand(unruled=True) as connection:
            connection.execute("UPDATE keyring.readers SET seen_at = seen_at - interval '1 hour'")
        assert ground.found("keyring") == {}
    assert ground.read("keyring", ground.policy, "").silent_readers == 1
