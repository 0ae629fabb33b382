"""The keyring as its rotator uses it: all tenants at once, wraps under several versions of the vault's key, what is over."""

from __future__ import annotations

import datetime as dt
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from replica import inventory
from steward.clients import keyring_rotation
from steward.clients.keyring_errors import KeyringRefused
from steward.clients.keyring_rotation import open_rotating_keyring
from steward.clients.keyvault import open_vault
from steward.fieldcrypt.keyring import State, Wrap
from steward.settings import load
from tests.integration.fresh_database import superuser
from tests.integration.fresh_keyring import fresh_keyring

pytestmark = pytest.mark.without_search

ELSEWHERE = Wrap("https://vault.test/keys/tenants/2", bytes(384))


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
    with open_rotating_keyring(described.keyring, described.vault) as client:
        yield client


@pytest.fixture
def tenants(keyring, vault):
    names = [f"tenant-{secrets.token_hex(4)}" for _ in range(3)]
    for name in names:
        keyring.enrol(name, vault)
    return names


def key(keyring, tenant, number=1):
    return keyring.load(tenant).generations[number - 1].key_id


def wraps(keyring, tenant):
    return [wrap.kek for wrap in keyring.load(tenant).generations[0].wraps]


def test_tenants_and_erased_ones_are_listed_apart_by_name(keyring, tenants):
    keyring.erase(tenants[1])
    assert [name for name in keyring.tenants() if name in tenants] == sorted([tenants[0], tenants[2]])
    assert tenants[1] in keyring.erased()
    assert keyring.tenants() == sorted(keyring.tenants())


def test_many_are_loaded_as_each_alone(keyring, vault, tenants, monkeypatch):
    keyring.add_generation(tenants[0], vault)
    keyring.keep_wrap(key(keyring, tenants[1]), ELSEWHERE)
    keyring.erase(tenants[2])
    # More than are asked for at a time.
    monkeypatch.setattr(keyring_rotation, "_AT_A_TIME", 1)
    found = keyring.load_many([*tenants, "nobody"])
    assert found == [keyring.load(tenants[0]), keyring.load(tenants[1])]
    assert keyring.load_many([]) == []


def test_another_wrap_is_the_newest_and_moves_the_epoch(keyring, tenants):
    tenant, epoch = tenants[0], keyring.epoch()
    (first,) = wraps(keyring, tenant)
    keyring.keep_wrap(key(keyring, tenant), ELSEWHERE)
    assert wraps(keyring, tenant) == [ELSEWHERE.kek, first]
    assert keyring.changed(epoch, keyring.epoch()) == {tenant: keyring.epoch()}
    keyring.keep_wrap(key(keyring, tenant), Wrap(ELSEWHERE.kek, bytes(256)))
    assert keyring.load(tenant).generations[0].wraps[0] == ELSEWHERE


def test_a_destroyed_key_gets_no_wrap(keyring, vault, tenants):
    tenant = tenants[0]
    old = key(keyring, tenant)
    keyring.switch(tenant, keyring.add_generation(tenant, vault).generations[-1].key_id)
    keyring.retire(tenant, old)
    keyring.destroy(tenant, old)
    keyring.keep_wrap(old, ELSEWHERE)
    assert keyring.load(tenant).generations[0].wraps == ()


def test_old_wraps_are_dropped_only_where_the_one_to_keep_is_there(keyring, tenants):
    tenant = tenants[0]
    (first,) = wraps(keyring, tenant)
    assert keyring.drop_wraps(key(keyring, tenant), ELSEWHERE.kek) == 0
    assert wraps(keyring, tenant) == [first]
    keyring.keep_wrap(key(keyring, tenant), ELSEWHERE)
    assert keyring.drop_wraps(key(keyring, tenant), ELSEWHERE.kek) == 1
    assert keyring.drop_wraps(key(keyring, tenant), ELSEWHERE.kek) == 0
    assert wraps(keyring, tenant) == [ELSEWHERE.kek]


def test_two_that_drop_one_anothers_wrap_leave_one(keyring, tenants):
    tenant = tenants[0]
    (first,) = wraps(keyring, tenant)
    keyring.keep_wrap(key(keyring, tenant), ELSEWHERE)

    def drop(keep):
        try:
            return keyring.drop_wraps(key(keyring, tenant), keep)
        except KeyringRefused:
            return 0

    with ThreadPoolExecutor(2) as pool:
        dropped = list(pool.map(drop, [first, ELSEWHERE.kek]))
    assert sum(dropped) == 1
    assert len(wraps(keyring, tenant)) == 1


def test_keys_are_counted_by_the_version_that_wraps_them(keyring, vault, tenants):
    newest = vault.key("tenants").kid
    before = keyring.keks()
    keyring.keep_wrap(key(keyring, tenants[0]), Wrap(f"{ELSEWHERE.kek}9", bytes(256)))
    after = keyring.keks()
    assert after[f"{ELSEWHERE.kek}9"] == 1
    assert after[newest] == before[newest]


def test_what_is_retired_is_over_after_its_grace_by_the_keyrings_clock(keyring, vault, tenants, described):
    tenant, other = tenants[:2]
    for each in (tenant, other):
        keyring.switch(each, keyring.add_generation(each, vault).generations[-1].key_id)
        keyring.retire(each, key(keyring, each))
    assert [(one.tenant, one.key_id) for one in keyring.retired(dt.timedelta(0), [tenant])] == [
        (tenant, key(keyring, tenant))
    ]
    assert keyring.retired(dt.timedelta(days=7), tenants) == []
    with superuser(described, described.keyring.url.rpartition("/")[2]) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE keyring.generations SET retired_at = retired_at - interval '8 days' WHERE tenant = %s", [tenant]
        )
    (over,) = keyring.retired(dt.timedelta(days=7), tenants)
    assert (over.tenant, over.key_id) == (tenant, key(keyring, tenant))
    assert dt.datetime.now(dt.UTC) - over.since > dt.timedelta(days=7)
    # What is taken back, or gone, is not over.
    keyring.reinstate(tenant, over.key_id)
    assert keyring.retired(dt.timedelta(0), [tenant]) == []
    assert keyring.load(tenant).generations[0].state is State.PREVIOUS
