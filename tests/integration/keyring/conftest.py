"""A keyring for all tests of the package, each of which has a tenant of its own."""

from __future__ import annotations

import secrets

import pytest

from replica import inventory
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.fieldcrypt.keyring import State
from steward.settings import load
from tests.integration.fresh_keyring import as_reader, connect, fresh_keyring
from tests.integration.keyring.ground import key_of


@pytest.fixture(scope="package")
def described(replica):
    with fresh_keyring(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="package")
def vault(described):
    with open_vault(described.vault) as client:
        yield client


@pytest.fixture(scope="package")
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


@pytest.fixture
def aged(keyring, vault, tenant):
    """Enrols the tenant, brings one of its generations into a state, and gives its key id."""

    def aged(state: State) -> int:
        key_id = key_of(keyring.enrol(tenant, vault))
        if state is State.INCOMING:
            return key_of(keyring.add_generation(tenant, vault), 2)
        if state is not State.CURRENT:
            keyring.switch(tenant, key_of(keyring.add_generation(tenant, vault), 2))
        if state in {State.RETIRED, State.DESTROYED}:
            keyring.retire(tenant, key_id)
        if state is State.DESTROYED:
            keyring.destroy(tenant, key_id)
        return key_id

    return aged


@pytest.fixture
def reading(described):
    with open_keyring(as_reader(described.keyring), described.vault) as client:
        yield client
