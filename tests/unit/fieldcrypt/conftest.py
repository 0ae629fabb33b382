"""A vault, a keyring with two tenants, and tenant keys over both."""

import pytest

from steward.fieldcrypt.tenantkeys import TenantKeys
from tests.unit.fieldcrypt.in_memory import InMemoryKeyring, InMemoryVault


@pytest.fixture
def vault():
    return InMemoryVault()


@pytest.fixture
def keyring(vault):
    keyring = InMemoryKeyring(vault)
    keyring.enrol("acme", "globex")
    return keyring


@pytest.fixture
def tenant_keys(keyring, vault):
    """TenantKeys, as in an application: tenants `acme` and `globex` are enrolled."""
    keys = TenantKeys(keyring, vault)
    yield keys
    keys.close()
