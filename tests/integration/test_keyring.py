"""The keyring on a real PostgreSQL, with a real vault: what it promises, and what its database refuses by itself."""

from __future__ import annotations

import secrets
import traceback
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import uuid4

import pytest
from psycopg import errors as pg

from replica import inventory
from steward.clients.keyring import open_keyring
from steward.clients.keyring_errors import KeyringRefused
from steward.clients.keyvault import open_vault
from steward.clients.postgres import DatabaseNotMigrated, DatabaseRefused
from steward.errors import BadInput
from steward.fieldcrypt.errors import KeyringTampered, TenantErased, TenantUnknown
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.masterkey import open_sealed
from steward.migrations.apply import Migrated, ReaderMissing, migrate, migrate_keyring
from steward.settings import load
from tests.integration.fresh_database import fresh_database, superuser
from tests.integration.fresh_keyring import as_reader, connect, empty_keyring, fresh_keyring

pytestmark = pytest.mark.without_search

ORDER = [State.INCOMING, State.CURRENT, State.PREVIOUS, State.RETIRED, State.DESTROYED]
ALLOWED = {*pairwise(ORDER), (State.RETIRED, State.PREVIOUS)}


@pytest.fixture(scope="module")
def described(replica):
    with fresh_keyring(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def vault(described):
    with open_vault(described.vault) as client:
        yield client


@pytest.fixture(scope="module")
def keyring(described):
    with open_keyring(described.keyring, described.vault) as client:
        yield client


@pytest.fixture
def rows(described):
    """The owner's own statements, past the client."""
    with connect(described.keyring) as connection:
        yield connection


@pytest.fixture
def tenant():
    return f"tenant-{secrets.token_hex(4)}"


def _states(keys):
    return [one.state for one in keys.generations]


def _key(keys, number=1):
    return keys.generations[number - 1].key_id


@pytest.fixture
def aged(keyring, vault, tenant):
    """Enrols the tenant, brings one of its generations into a state, and gives its key id."""

    def aged(state: State) -> int:
        key_id = _key(keyring.enrol(tenant, vault))
        if state is State.INCOMING:
            return _key(keyring.add_generation(tenant, vault), 2)
        if state is not State.CURRENT:
            keyring.switch(tenant, _key(keyring.add_generation(tenant, vault), 2))
        if state in {State.RETIRED, State.DESTROYED}:
            keyring.retire(tenant, key_id)
        if state is State.DESTROYED:
            keyring.destroy(tenant, key_id)
        return key_id

    return aged


def test_an_enrolled_tenant_has_one_current_key_that_the_vault_unwraps(keyring, vault, tenant):
    keys = keyring.enrol(tenant, vault)
    (only,) = keys.generations
    assert (keys.tenant, only.number, only.state, len(only.wraps)) == (tenant, 1, State.CURRENT, 1)
    assert only.created_at.tzinfo is not None
    assert only.wraps[0].kek == vault.key("tenants").kid
    payload = vault.unwrap(only.wraps[0].kek, only.wraps[0].wrapped)
    assert len(open_sealed(tenant, only.key_id, payload)) == 32


def test_enrolling_again_changes_nothing(keyring, vault, tenant):
    assert keyring.enrol(tenant, vault) == keyring.enrol(tenant, vault)


def test_two_that_enrol_a_tenant_at_once_make_one_generation(keyring, vault, tenant):
    with ThreadPoolExecutor(6) as pool:
        enrolled = list(pool.map(lambda _: keyring.enrol(tenant, vault), range(6)))
    assert {keys.generations for keys in enrolled} == {keyring.load(tenant).generations}
    assert len(enrolled[0].generations) == 1


def test_two_that_add_a_generation_at_once_make_one(keyring, vault, tenant):
    keyring.enrol(tenant, vault)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keyring.add_generation(tenant, vault), range(4)))
    assert _states(keyring.load(tenant)) == [State.CURRENT, State.INCOMING]


def test_key_ids_name_one_tenant_only_and_rise(keyring, vault):
    ids = [_key(keyring.enrol(f"{secrets.token_hex(6)}", vault)) for _ in range(3)]
    assert ids == sorted(set(ids))


def test_a_generation_lives_through_its_states(keyring, vault, tenant):
    first = _key(keyring.enrol(tenant, vault))
    second = _key(keyring.add_generation(tenant, vault), 2)
    assert _states(keyring.switch(tenant, second)) == [State.PREVIOUS, State.CURRENT]
    assert _states(keyring.retire(tenant, first)) == [State.RETIRED, State.CURRENT]
    assert _states(keyring.reinstate(tenant, first)) == [State.PREVIOUS, State.CURRENT]
    keyring.retire(tenant, first)
    destroyed = keyring.destroy(tenant, first).generations[0]
    assert (destroyed.state, destroyed.wraps) == (State.DESTROYED, ())


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("switch", State.CURRENT),
        ("retire", State.RETIRED),
        ("reinstate", State.PREVIOUS),
        ("destroy", State.DESTROYED),
    ],
)
def test_every_change_may_be_asked_for_again(keyring, aged, tenant, change, state):
    key_id = aged(state)
    assert getattr(keyring, change)(tenant, key_id) == keyring.load(tenant)


def test_a_tenant_that_has_an_incoming_generation_gets_no_second_one(keyring, vault, aged, tenant):
    aged(State.INCOMING)
    before = keyring.load(tenant)
    assert keyring.add_generation(tenant, vault) == before


def test_a_tenant_may_be_erased_again(keyring, aged, tenant):
    aged(State.CURRENT)
    assert keyring.erase(tenant) == keyring.erase(tenant) == keyring.epoch()


@pytest.mark.parametrize("origin", ORDER)
@pytest.mark.parametrize("goal", ORDER)
def test_the_database_moves_a_generation_forward_one_state_at_a_time(aged, rows, origin, goal):
    key_id = aged(origin)
    with rows.transaction(force_rollback=True):
        if goal is State.CURRENT and origin is not State.CURRENT:
            rows.execute("UPDATE keyring.generations SET state = 'previous' WHERE state = 'current'")
        statement = "UPDATE keyring.generations SET state = %s WHERE key_id = %s RETURNING state"
        if origin is goal or (origin, goal) in ALLOWED:
            assert rows.execute(statement, (goal.value, key_id)).fetchone() == (goal.value,)
        else:
            with pytest.raises(pg.RaiseException, match=f"goes from {origin} to {goal}"):
                rows.execute(statement, (goal.value, key_id))


@pytest.mark.parametrize(
    ("change", "state"),
    [("switch", State.PREVIOUS), ("retire", State.CURRENT), ("destroy", State.PREVIOUS), ("reinstate", State.CURRENT)],
)
def test_a_change_out_of_turn_is_refused_with_both_states(keyring, aged, tenant, change, state):
    key_id = aged(state)
    before = keyring.load(tenant)
    with pytest.raises(KeyringRefused, match=rf"is {state}, expected \w+ or \w+"):
        getattr(keyring, change)(tenant, key_id)
    assert keyring.load(tenant) == before


def test_another_tenants_key_is_not_moved(keyring, vault, tenant):
    other = f"{tenant}-other"
    keyring.enrol(other, vault)
    incoming = _key(keyring.add_generation(other, vault), 2)
    keyring.enrol(tenant, vault)
    with pytest.raises(KeyringRefused, match="is not there"):
        keyring.switch(tenant, incoming)


@pytest.mark.parametrize("state", [State.INCOMING, State.CURRENT, State.PREVIOUS, State.RETIRED])
def test_the_last_wrap_of_a_living_key_cannot_be_deleted(keyring, aged, rows, tenant, state):
    key_id = aged(state)
    with pytest.raises(pg.RaiseException, match="wrapped by nothing: its key would be lost"):
        rows.execute("DELETE FROM keyring.wraps WHERE key_id = %s", [key_id])
    assert all(one.wraps for one in keyring.load(tenant).generations)


def test_two_that_each_delete_one_of_the_last_two_wraps_do_not_both_succeed(keyring, aged, rows, described, tenant):
    key_id = aged(State.CURRENT)
    rows.execute(
        "INSERT INTO keyring.wraps (key_id, kek, wrapped) SELECT key_id, kek || '0', wrapped FROM keyring.wraps "
        "WHERE key_id = %s",
        [key_id],
    )
    (newer, older) = (wrap.kek for wrap in keyring.load(tenant).generations[0].wraps)
    delete = "DELETE FROM keyring.wraps WHERE key_id = %s AND kek = %s"
    with connect(described.keyring) as other, ThreadPoolExecutor(1) as pool:
        with rows.transaction():
            rows.execute(delete, (key_id, newer))
            waiting = pool.submit(other.execute, delete, (key_id, older))
            with superuser(described) as admin:
                while not admin.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                    [other.info.backend_pid],
                ).fetchone()[0]:
                    assert not waiting.done()
        with pytest.raises(pg.RaiseException, match="wrapped by nothing"):
            waiting.result()
    assert [wrap.kek for wrap in keyring.load(tenant).generations[0].wraps] == [older]


def test_the_newest_wrap_comes_first(keyring, vault, aged, rows, tenant):
    key_id = aged(State.CURRENT)
    newer = vault.key("tenants").kid[:-1] + "!"
    rows.execute("INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (%s, %s, %s)", (key_id, newer, bytes(384)))
    assert keyring.load(tenant).generations[0].wraps[0].kek == newer


@pytest.mark.parametrize(
    "case",
    [
        ("DELETE FROM keyring.generations WHERE key_id = %(key)s", "DELETE of keyring.generations is refused"),
        ("DELETE FROM keyring.tenants WHERE tenant = %(tenant)s", "DELETE of keyring.tenants is refused"),
        ("TRUNCATE keyring.wraps", "TRUNCATE of keyring.wraps is refused"),
        ("TRUNCATE keyring.tenants CASCADE", "is refused"),
        ("UPDATE keyring.wraps SET wrapped = wrapped WHERE key_id = %(key)s", "UPDATE of keyring.wraps is refused"),
        ("UPDATE keyring.generations SET number = 7 WHERE key_id = %(key)s", "only the state changes"),
        ("UPDATE keyring.generations SET tenant = 'b' WHERE key_id = %(key)s", "only the state changes"),
        ("UPDATE keyring.tenants SET tenant = 'b' WHERE tenant = %(tenant)s", "can be erased, once, and nothing else"),
        ("UPDATE keyring.tenants SET erased_at = now() WHERE tenant = %(tenant)s", "of its keys kept"),
        ("INSERT INTO keyring.tenants VALUES (%(tenant)s || 'x')", "would have 0 current generations"),
        (
            "INSERT INTO keyring.generations VALUES (2147483647, %(tenant)s, 2, 'current')",
            "generation 2 of tenant .* begins as current",
        ),
        ("INSERT INTO keyring.generations VALUES (2147483647, %(tenant)s, 3, 'incoming')", "does not follow 1"),
        ("INSERT INTO keyring.generations VALUES (1, %(tenant)s, 2, 'incoming')", r"\(key 1\) .* does not follow 1"),
        ("INSERT INTO keyring.generations VALUES (2147483647, %(tenant)s, 2, 'incoming')", "wrapped by nothing"),
    ],
)
def test_what_would_lose_or_forge_a_key_is_refused_by_the_database(keyring, vault, rows, tenant, case):
    statement, told = case
    keyring.enrol(f"{tenant}-before", vault)
    key = _key(keyring.enrol(tenant, vault))
    before = keyring.load(tenant)
    with pytest.raises(pg.RaiseException, match=told):
        rows.execute(statement, {"key": key, "tenant": tenant})
    assert keyring.load(tenant) == before


def test_a_generation_is_there_with_its_wrap_or_not_at_all(keyring, vault, rows, tenant, monkeypatch):
    keyring.enrol(tenant, vault)
    monkeypatch.setattr("steward.clients.keyring_rows.INSERT_WRAP", "INSERT INTO keyring.wraps VALUES (%s, %s, %s, 0)")
    with pytest.raises(pg.Error):
        keyring.add_generation(tenant, vault)
    assert _states(keyring.load(tenant)) == [State.CURRENT]


def test_a_key_that_the_vault_cannot_unwrap_again_is_not_enrolled(keyring, vault, tenant):
    class Forgetful:
        wrap = vault.wrap

        def unwrap(self, _kek, _wrapped):
            return bytes(64)

    with pytest.raises(KeyringRefused, match="unwraps another key"):
        keyring.enrol(tenant, Forgetful())
    with pytest.raises(TenantUnknown):
        keyring.load(tenant)


def test_every_change_moves_the_epoch_and_is_noted_with_whoever_made_it(keyring, vault, rows, tenant):
    before = keyring.epoch()
    key = _key(keyring.enrol(tenant, vault))
    keyring.switch(tenant, _key(keyring.add_generation(tenant, vault), 2))
    keyring.retire(tenant, key)
    keyring.destroy(tenant, key)
    noted = rows.execute(
        "SELECT epoch, change, noted_by FROM keyring.epochs WHERE epoch > %s ORDER BY epoch", [before]
    ).fetchall()
    kek = vault.key("tenants").kid
    assert [change.replace(kek, "KEK").replace(f"key {key}", "key A") for _, change, _ in noted] == [
        "generation 1 (key A) current",
        "generation 1 (key A) wrapped under KEK",
        f"generation 2 (key {key + 1}) incoming",
        f"generation 2 (key {key + 1}) wrapped under KEK",
        "generation 1 (key A) previous",
        f"generation 2 (key {key + 1}) current",
        "generation 1 (key A) retired",
        "generation 1 (key A) no longer wrapped under KEK",
        "generation 1 (key A) destroyed",
    ]
    assert [epoch for epoch, _, _ in noted] == list(range(before + 1, before + 10))
    assert {who for _, _, who in noted} == {"keyring"}
    assert keyring.load(tenant).epoch == before + 9


def test_a_smaller_epoch_never_becomes_visible_after_a_greater_one(keyring, vault, rows, described, tenant):
    first, second = (_key(keyring.enrol(f"{tenant}-{one}", vault)) for one in "ab")
    retire = "UPDATE keyring.generations SET state = 'previous' WHERE key_id = %s"
    with connect(described.keyring) as other, ThreadPoolExecutor(1) as pool:
        with rows.transaction(force_rollback=True):
            rows.execute(retire, [first])
            waiting = pool.submit(other.execute, "BEGIN; " + retire.replace("%s", str(second)))
            with superuser(described) as admin:
                query = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
                while admin.execute(query, [other.info.backend_pid]).fetchone() != ("Lock",):
                    assert not waiting.done()
        waiting.result()
        other.rollback()


def test_an_erased_tenant_has_no_keys_for_ever(keyring, vault, aged, rows, tenant):
    aged(State.RETIRED)
    keyring.add_generation(tenant, vault)
    epoch = keyring.erase(tenant)
    assert rows.execute("SELECT max(epoch) FROM keyring.epochs WHERE tenant = %s", [tenant]).fetchone() == (epoch,)
    left = "SELECT count(*) FROM keyring.wraps JOIN keyring.generations USING (key_id) WHERE tenant = %s"
    assert rows.execute(left, [tenant]).fetchone() == (0,)
    states = "SELECT DISTINCT state FROM keyring.generations WHERE tenant = %s"
    assert rows.execute(states, [tenant]).fetchall() == [("destroyed",)]
    for attempt in (
        keyring.load,
        lambda one: keyring.enrol(one, vault),
        lambda one: keyring.add_generation(one, vault),
    ):
        with pytest.raises(TenantErased):
            attempt(tenant)
    with pytest.raises(pg.RaiseException, match="can be erased, once"):
        rows.execute("UPDATE keyring.tenants SET erased_at = NULL WHERE tenant = %s", [tenant])


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 256, "ä" * 128, "\ud800"])
def test_a_name_that_cannot_be_kept_is_unknown(keyring, vault, name):
    for attempt in (keyring.load, keyring.erase, lambda one: keyring.enrol(one, vault)):
        with pytest.raises(TenantUnknown, match="is no name of a tenant"):
            attempt(name)


def test_an_unknown_tenant_is_told_with_the_command_that_enrols_it(keyring, tenant):
    for attempt in (keyring.load, keyring.erase, lambda one: keyring.switch(one, 1)):
        with pytest.raises(TenantUnknown) as raised:
            attempt(tenant)
        assert f"keyring enrol {tenant}" in raised.value.hint


def test_a_wrap_moved_to_another_tenants_row_is_refused(keyring, vault, rows, tenant):
    victim = keyring.enrol(tenant, vault).generations[0]
    other = keyring.enrol(f"{tenant}-other", vault).generations[0]
    rows.execute(
        "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (%s, %s, %s)",
        (victim.key_id, "https://vault/keys/tenants/0", other.wraps[0].wrapped),
    )
    moved = keyring.load(tenant).generations[0].wraps[0]
    with pytest.raises(KeyringTampered):
        open_sealed(tenant, victim.key_id, vault.unwrap(other.wraps[0].kek, moved.wrapped))


# Readers: applications, who may look and acknowledge.


@pytest.fixture
def reading(described):
    with open_keyring(as_reader(described.keyring), described.vault) as client:
        yield client


def test_a_reader_loads_what_the_owner_wrote(keyring, reading, vault, tenant):
    enrolled = keyring.enrol(tenant, vault)
    assert reading.load(tenant) == enrolled


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO keyring.tenants (tenant) VALUES ('forged')",
        "INSERT INTO keyring.generations VALUES (99, 'forged', 1, 'current')",
        "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (1, 'https://v/keys/k/1', decode(repeat('00', 384), 'hex'))",
        "INSERT INTO keyring.epochs VALUES (99999, 'forged', 'forged')",
        "INSERT INTO keyring.readers VALUES (gen_random_uuid(), 'forged', 1, 99999)",
        "UPDATE keyring.generations SET state = 'destroyed'",
        "UPDATE keyring.readers SET epoch = 99999",
        "DELETE FROM keyring.wraps",
        "DELETE FROM keyring.readers",
        "TRUNCATE keyring.wraps",
        "SELECT nextval('keyring.key_ids')",
        "SELECT keyring.move_epoch('forged', 'forged')",
        "CREATE TABLE keyring.forged (n int)",
        "ALTER TABLE keyring.wraps DISABLE TRIGGER ALL",
        "DROP SCHEMA keyring CASCADE",
        "SET ROLE keyring",
    ],
)
def test_a_readers_user_writes_nothing(described, statement):
    with connect(as_reader(described.keyring)) as connection, pytest.raises(pg.InsufficientPrivilege):
        connection.execute(statement)


def test_a_reader_that_would_enrol_is_refused_in_words(reading, vault, tenant):
    with pytest.raises(DatabaseRefused, match="permission denied") as raised:
        reading.enrol(tenant, vault)
    assert "keyring.url must own the schema keyring" in raised.value.hint


def test_other_users_do_not_see_the_keyring(described):
    settings = described.postgres
    stranger = described.keyring.model_copy(
        update={"url": described.keyring.url.replace("//keyring@", "//steward@"), "password": settings.password}
    )
    with connect(stranger) as connection, pytest.raises(pg.InsufficientPrivilege):
        connection.execute("SELECT * FROM keyring.wraps")


def test_steward_does_not_even_enter_the_replicas_keyring(settings):
    stranger = settings.keyring.model_copy(
        update={"url": settings.keyring.url.replace("//keyring@", "//steward@"), "password": settings.postgres.password}
    )
    with open_keyring(stranger) as client, pytest.raises(DatabaseRefused):
        client.epoch()


def test_a_reader_lags_until_it_has_acknowledged(keyring, reading, vault, tenant):
    reader = uuid4()
    reading.acknowledge(reader, keyring.epoch())
    epoch = keyring.enrol(tenant, vault).epoch
    (lagging,) = [one for one in keyring.lagging(epoch) if one.reader == reader]
    assert lagging.epoch < epoch
    reading.acknowledge(reader, epoch)
    assert reader not in {one.reader for one in keyring.lagging(epoch)}


def test_an_acknowledgement_is_not_taken_back_by_one_that_comes_late(keyring, reading):
    reader, epoch = uuid4(), keyring.epoch()
    reading.acknowledge(reader, epoch)
    reading.acknowledge(reader, 0)
    assert reader not in {one.reader for one in keyring.lagging(epoch)}


def test_nobody_acknowledges_an_epoch_that_has_not_been(keyring, reading):
    with pytest.raises(KeyringRefused, match="has not been yet"):
        reading.acknowledge(uuid4(), keyring.epoch() + 1)


def test_a_reader_that_left_or_fell_silent_is_not_waited_for(keyring, reading, rows):
    gone, silent, epoch = uuid4(), uuid4(), keyring.epoch() + 1
    for reader in (gone, silent):
        reading.acknowledge(reader, 0)
    reading.leave(gone)
    rows.execute("UPDATE keyring.readers SET seen_at = seen_at - interval '31 min' WHERE reader = %s", [silent])
    assert not {gone, silent} & {one.reader for one in keyring.lagging(epoch)}
    assert silent in {one.reader for one in keyring.lagging(epoch, silent_seconds=3600)}


def test_a_reader_of_which_nothing_was_heard_for_a_day_is_forgotten(keyring, reading, rows):
    dead = uuid4()
    reading.acknowledge(dead, 0)
    rows.execute("UPDATE keyring.readers SET seen_at = seen_at - interval '25 h' WHERE reader = %s", [dead])
    reading.acknowledge(uuid4(), 0)
    assert rows.execute("SELECT 1 FROM keyring.readers WHERE reader = %s", [dead]).fetchone() is None


# Its history.


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


# Its command.


def test_an_operator_enrols_tenants_by_name(described, tenant, tmp_path, capsys, keyring):
    import tomli_w  # noqa: PLC0415 # needed by this one test

    from steward.__main__ import main  # noqa: PLC0415 # as above

    path = tmp_path / "settings.toml"
    command = ["keyring", "enrol", tenant, f"{tenant}-too", "--settings", str(path)]
    with fresh_database(described) as fresh:
        migrate(fresh)
        path.write_text(tomli_w.dumps(fresh.model_dump(mode="json", exclude_none=True)))
        for _ in range(2):
            assert main(command) == 0
        ids = [_key(keyring.load(each)) for each in command[2:4]]
        told = [
            f"tenant {each}: current generation 1, key {key_id}" for each, key_id in zip(command[2:4], ids, strict=True)
        ]
        assert capsys.readouterr().out.splitlines() == told * 2
        keyring.erase(tenant)
        assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"ERROR: the keys of tenant '{tenant}' were erased\nHINT: ")


def test_no_error_says_anything_of_a_wrapped_key(keyring, vault, tenant):
    wrapped = keyring.enrol(tenant, vault).generations[0].wraps[0].wrapped
    forged = "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (0, 'x', %s)"
    with pytest.raises(KeyringRefused, match="violates check constraint") as raised:
        keyring._change(lambda connection: connection.execute(forged, [wrapped]))
    # PostgreSQL itself quotes the beginning of the row.
    assert wrapped.hex()[:16] not in "".join(traceback.format_exception(raised.value))
