"""No call leaves for the vault before it is in the journal, whose rows stay as they were written."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from steward.clients.key_calls import summary, summary_of_command
from steward.clients.keyvault_journal import open_journaled_vault
from steward.clients.postgres import DatabaseNotMigrated, DatabaseUnavailable, connect
from steward.errors import BadInput
from steward.keys.calls import Note
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import changed, fresh_database, superuser
from tests.integration.key_journal.ground import PAYLOAD, PRINCIPAL, announced, logged, operation

pytestmark = pytest.mark.without_search


def test_a_call_is_not_made_while_the_database_is_away(ground, server, began):
    away = changed(ground, "postgres", url=f"postgresql://steward@127.0.0.1:{closed_port()}/steward")
    with open_journaled_vault(away, Note("rotate")) as vault, pytest.raises(DatabaseUnavailable) as raised:
        vault.key("tenants")
    assert raised.value.transient
    assert logged(server, PRINCIPAL, began) == []


def test_a_database_without_the_journal_is_told_and_no_call_is_made(replica, ground, server, began):
    with (
        fresh_database(ground) as empty,
        open_journaled_vault(empty, Note("rotate")) as vault,
        pytest.raises(DatabaseNotMigrated),
    ):
        vault.key("tenants")
    assert logged(server, PRINCIPAL, began) == []


def test_a_connection_that_the_server_closed_costs_no_call(ground):
    with open_journaled_vault(ground, Note("rotate")) as vault:
        vault.key("tenants")
        with superuser(ground) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steward-key-calls'"
            )
        vault.key("tenants")
    assert announced(ground) == ["KeyGet", "KeyGet"]


def test_the_guard_is_asked_before_anything_but_a_reading_is_announced(ground, server, began):
    class Superseded(Exception):
        pass

    def guard():
        raise Superseded

    with open_journaled_vault(ground, Note("rotate"), before_write=guard) as vault:
        wrap = vault.wrap("tenants", PAYLOAD)
        with pytest.raises(Superseded):
            vault.unwrap(wrap.kek, wrap.wrapped)
    assert set(announced(ground)) == {"KeyGet"}
    assert {operation for operation, _ in logged(server, PRINCIPAL, began)} == {"KeyGet"}


def test_who_is_superseded_while_a_call_is_announced_does_not_send_it(ground, server, began):
    """Its operation's statement may be recorded by then: what arrived in the vault would be in none."""

    class Superseded(Exception):
        pass

    def guard():
        if "KeyUnwrap" in announced(ground):
            raise Superseded

    with open_journaled_vault(ground, Note("rotate"), before_write=guard) as vault:
        wrap = vault.wrap("tenants", PAYLOAD)
        with pytest.raises(Superseded):
            vault.unwrap(wrap.kek, wrap.wrapped)
    assert {operation for operation, _ in logged(server, PRINCIPAL, began)} == {"KeyGet"}


def test_no_row_holds_what_was_wrapped_or_signed(ground):
    digest = hashlib.sha256(b"statement").digest()
    with open_journaled_vault(ground, Note("rotate")) as vault:
        wrap = vault.wrap("tenants", PAYLOAD)
        vault.unwrap(wrap.kek, wrap.wrapped)
        vault.sign("evidence", "ES256", digest)
    with connect(ground) as connection:
        rows = str(connection.execute("SELECT key_calls::text FROM steward.key_calls").fetchall())
    for payload in (PAYLOAD, wrap.wrapped, digest):
        assert payload.hex() not in rows
    assert "KeySign,evidence," in rows


@pytest.mark.parametrize(
    "statement",
    ["UPDATE steward.key_calls SET purpose = 'x'", "DELETE FROM steward.key_calls", "TRUNCATE steward.key_calls"],
)
def test_the_journal_is_append_only(ground, statement):
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"), connect(ground) as connection:
        connection.execute(statement)


def test_a_summary_waits_for_rows_in_the_making_and_keeps_nobody_out_afterwards(ground):
    rotating = operation(ground)
    insert = "INSERT INTO steward.key_calls (request_id, operation_id, action, name, version, purpose) VALUES (gen_random_uuid(), %s, 'KeyUnwrap', 'tenants', '', 'x')"
    with connect(ground) as making, ThreadPoolExecutor(1) as pool:
        making.execute(insert, [rotating])

        def summarise():
            with connect(ground) as connection:
                told = summary(connection, rotating)
                with connect(ground) as other:
                    # The lock is gone, though the transaction is not.
                    other.execute(insert, [rotating])
                return told

        waiting = pool.submit(summarise)
        _until_somebody_waits(ground)
        making.commit()
        told = waiting.result()
    assert told["count"] == 1
    with connect(ground) as connection:
        assert summary(connection, rotating)["count"] == 2
        assert summary_of_command(connection, "no such")["count"] == 0


def _until_somebody_waits(settings):
    with superuser(settings) as owner:
        while not owner.execute(
            "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = %s",
            [settings.postgres.url.rpartition("/")[2]],
        ).fetchone():
            pass


def test_a_fork_has_connections_of_its_own(ground):
    with open_journaled_vault(ground, Note("rotate")) as vault:
        vault.key("tenants")
        child = os.fork()
        if not child:
            try:
                vault.key("tenants")
                os._exit(0)
            except BaseException:  # noqa: BLE001 # the child must not go on with the tests
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        vault.key("tenants")
    assert announced(ground) == ["KeyGet"] * 3


def test_without_a_vault_there_is_no_journaled_one(ground):
    with pytest.raises(BadInput, match="name no vault"):
        open_journaled_vault(ground.model_copy(update={"vault": None}), Note("rotate"))
