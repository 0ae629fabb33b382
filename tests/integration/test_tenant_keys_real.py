"""An application's keys on real servers: the reader's user, the vault's role for it, and each of them away."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress

import pytest

from replica import faults, inventory
from steward.clients import keyring as keyring_client
from steward.clients import keyvault_asking, tenantkeys
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.clients.tenantkeys import open_tenant_keys
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    KeyringTampered,
    KeysRefused,
    KeysUnavailable,
    TenantErased,
    TenantUnknown,
)
from steward.settings import load
from tests.integration.fresh_keyring import as_reader, connect, fresh_keyring
from tests.integration.principals import vault_as

pytestmark = pytest.mark.without_search

#: Failed loads are tried again at once.
HASTY = CachePolicy(retry_seconds=0.01)
FIELD = ("customers", "email", 7)


@pytest.fixture(scope="module")
def described(replica):
    with fresh_keyring(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def rotator(described):
    """The keyring as its owner has it, and the vault as the rotator has it."""
    with open_vault(described.vault) as vault, open_keyring(described.keyring) as keyring:
        yield keyring, vault


@pytest.fixture
def opened(replica, described, monkeypatch):
    """Applications' keys, opened as an application opens them: `opened(principal="…")`."""
    monkeypatch.setattr(tenantkeys, "FOLLOW_SECONDS", 0.05)
    opened = []

    def opening(principal="application", settings=described):
        vault = vault_as(replica, settings, principal)
        keyring = described.keyring.model_copy(update={"url": _server(described, settings)})
        opened.append(open_tenant_keys(vault, as_reader(keyring), HASTY))
        return opened[-1]

    yield opening
    for keys in opened:
        keys.close()


def _server(described, settings):
    """The URL of this module's keyring, by the way that *settings* name."""
    return f"{settings.keyring.url.rpartition('/')[0]}/{described.keyring.url.rpartition('/')[2]}"


@pytest.fixture
def enrolled(rotator):
    keyring, vault = rotator

    def enrolled():
        name = f"tenant-{secrets.token_hex(4)}"
        keyring.enrol(name, vault)
        return name

    return enrolled


@pytest.fixture
def tenant(enrolled):
    return enrolled()


@pytest.fixture
def hasty_limits(monkeypatch):
    """Servers that are away are found to be so in half a second."""
    monkeypatch.setattr(keyvault_asking, "READ_SECONDS", 0.3)
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(keyring_client, "LIMIT_SECONDS", 0.5)
    monkeypatch.setattr(keyring_client, "_BROKEN_WITHIN_SECONDS", 0.1)


def _in_the_end(holds):
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_application_encrypts_what_another_of_its_processes_decrypts(opened, tenant):
    one, other = FieldCipher(tenant, opened()), FieldCipher(tenant, opened())
    assert other.decrypt(*FIELD, one.encrypt(*FIELD, "ada@example.net")) == "ada@example.net"


def test_tenants_do_not_read_one_another(opened, enrolled):
    (tenant, other), keys = (enrolled(), enrolled()), opened()
    with pytest.raises(CiphertextForeign):
        FieldCipher(other, keys).decrypt(*FIELD, FieldCipher(tenant, keys).encrypt(*FIELD, "ada@example.net"))


def test_a_process_reads_under_a_new_generation_before_anyone_writes_under_it(opened, rotator, tenant):
    keyring, vault = rotator
    old, new = FieldCipher(tenant, opened()), FieldCipher(tenant, opened())
    before = old.encrypt(*FIELD, "before")
    incoming = keyring.add_generation(tenant, vault)
    _in_the_end(lambda: not keyring.lagging(incoming.epoch))
    switched = keyring.switch(tenant, incoming.generations[-1].key_id)
    # Not yet acknowledged by everyone: whoever writes under either is read by all.
    after = new.encrypt(*FIELD, "after")
    assert old.decrypt(*FIELD, after) == "after"
    _in_the_end(lambda: not keyring.lagging(switched.epoch))
    assert new.decrypt(*FIELD, before) == "before"
    assert old.encrypt(*FIELD, "x")[2:6] == incoming.generations[-1].key_id.to_bytes(4, "big")


def test_a_process_is_known_to_the_keyring_before_it_is_given_a_key(opened, rotator, tenant, monkeypatch):
    keyring, _ = rotator
    monkeypatch.setattr(tenantkeys._Following, "_follow", lambda _: None)
    before = {one.reader for one in keyring.lagging(2**60)}
    keys = opened()
    assert {one.reader for one in keyring.lagging(2**60)} == before
    keys.of(tenant)
    assert len({one.reader for one in keyring.lagging(2**60)} - before) == 1
    keys.close()
    assert {one.reader for one in keyring.lagging(2**60)} == before


def test_the_child_of_a_fork_is_a_reader_of_its_own_with_connections_of_its_own(opened, rotator, enrolled):
    keyring, _ = rotator
    warm, cold = enrolled(), enrolled()
    keys = opened()
    encrypted = FieldCipher(warm, keys).encrypt(*FIELD, "ada@example.net")
    until_closed, close = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of pytest's may run here, not even a failed assertion.
        os.close(close)
        with suppress(BaseException):
            told = FieldCipher(warm, keys).decrypt(*FIELD, encrypted)
            FieldCipher(cold, keys).encrypt(*FIELD, told)
            os.read(until_closed, 1)
            os._exit(0)
        os._exit(1)
    try:
        _in_the_end(lambda: {os.getpid(), child} <= {one.pid for one in keyring.lagging(2**60)})
        assert FieldCipher(cold, keys).encrypt(*FIELD, "x")
    finally:
        os.close(close)
        assert os.waitpid(child, 0)[1] == 0
    os.close(until_closed)


def test_a_tenant_that_was_erased_is_gone_from_memory_too(opened, rotator, tenant):
    keys = opened()
    keys.of(tenant)
    epoch = rotator[0].erase(tenant)
    _in_the_end(lambda: keys.catch_up(epoch))
    with pytest.raises(TenantErased):
        keys.of(tenant)


def test_a_tenant_that_does_not_exist_is_unknown(opened):
    with pytest.raises(TenantUnknown, match="no tenant 'nobody'"):
        opened().of("nobody")


def test_a_wrap_moved_from_another_tenant_is_refused(opened, described, rotator, tenant):
    keyring, vault = rotator
    other = keyring.enrol(f"{tenant}-other", vault).generations[0].wraps[0]
    key_id = keyring.load(tenant).generations[0].key_id
    with connect(described.keyring) as rows, rows.transaction():
        rows.execute("DELETE FROM keyring.wraps WHERE key_id = %s", [key_id])
        rows.execute(
            "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (%s, %s, %s)", (key_id, other.kek, other.wrapped)
        )
    with pytest.raises(KeyringTampered):
        opened().of(tenant)


def test_a_principal_that_may_not_unwrap_is_named_with_the_role_it_lacks(opened, tenant):
    with pytest.raises(KeysRefused, match=r"forbids application .* to unwrap with key tenants/") as raised:
        opened(principal="auditor").of(tenant)
    assert "Key Vault Crypto Service Encryption User" in raised.value.hint


@pytest.mark.parametrize("server", ["keyvault", "postgres"])
def test_with_a_server_frozen_known_tenants_work_on_and_others_are_told_in_time(
    replica, opened, enrolled, server, hasty_limits
):
    (tenant, cold), keys = (enrolled(), enrolled()), opened()
    cipher = FieldCipher(tenant, keys)
    encrypted = cipher.encrypt(*FIELD, "ada@example.net")
    with faults.frozen(replica.state, server):
        assert cipher.decrypt(*FIELD, encrypted) == "ada@example.net"
        began = time.monotonic()
        with pytest.raises(KeysUnavailable) as raised:
            keys.of(cold)
        assert time.monotonic() - began < 10
    assert raised.value.transient
    _in_the_end(lambda: _loads(keys, cold))


def test_with_vault_and_keyring_cut_off_known_tenants_work_on(proxied, opened, enrolled, hasty_limits):
    (tenant, cold), keys = (enrolled(), enrolled()), opened(settings=load(inventory.settings_file(proxied)))
    cipher = FieldCipher(tenant, keys)
    encrypted = cipher.encrypt(*FIELD, "ada@example.net")
    with faults.partitioned(proxied.state, "keyvault"), faults.partitioned(proxied.state, "postgres"):
        assert cipher.decrypt(*FIELD, encrypted) == "ada@example.net"
        with pytest.raises(KeysUnavailable):
            keys.of(cold)
    _in_the_end(lambda: _loads(keys, cold))


def _loads(keys, tenant):
    try:
        keys.of(tenant)
    except KeysUnavailable:
        return False
    return True
