"""Readers: applications, who may look and acknowledge."""

from __future__ import annotations

from uuid import uuid4

import pytest
from psycopg import errors as pg

from steward.clients.keyring import open_keyring
from steward.clients.keyring_errors import KeyringRefused
from steward.clients.postgres import DatabaseRefused
from tests.integration.fresh_keyring import as_reader, connect

pytestmark = pytest.mark.without_search


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
