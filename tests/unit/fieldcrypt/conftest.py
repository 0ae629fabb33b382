"""A vault, a keyring with two tenants, and tenant keys over both."""

import pytest

from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.tenantkeys import TenantKeys
from tests.unit.fieldcrypt.in_memory import Clock, InMemoryKeyring, InMemoryVault


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


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timed(keyring, vault, clock):
    """Makes TenantKeys whose time is that of `clock`. Keys are due after 240 s, expire after 300 and serve until 1200."""
    made = []

    def make(**changes):
        made.append(TenantKeys(keyring, vault, CachePolicy(**{"jitter": 0, **changes}), clock))
        return made[-1]

    yield make
    for keys in made:
        keys.close()
