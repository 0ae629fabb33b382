"""Tenants of the application, each with a first key."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from demo.customers.users import steward_keys
from steward.clients.keyring import KeyringClient, open_keyring
from steward.clients.keyvault import KeyVaultClient, open_vault
from steward.fieldcrypt.errors import TenantErased
from steward.keys.golden import GOLDEN_TENANT
from steward.settings import Settings

#: Each holds a connection to the keyring and waits for the vault most of its time.
_ENROLLERS = 4


def tenant_names(count: int) -> list[str]:
    """`customer-0001` and so on."""
    return [f"customer-{number:04}" for number in range(1, count + 1)]


def enrol(settings: Settings, tenants: Iterable[str]) -> list[str]:
    """Give each of *tenants*, and the golden one, its first key; those of *tenants* that have one. Erased ones stay erased.

    Without journal and evidence, unlike `python -m steward keyring enrol`: of those enrolled before, the vault is asked nothing.
    """
    vault_settings, keyring_settings = steward_keys(settings)
    with (
        open_vault(vault_settings) as vault,
        open_keyring(keyring_settings, settings.vault) as keyring,
        ThreadPoolExecutor(_ENROLLERS) as pool,
    ):
        wanted = [GOLDEN_TENANT, *tenants]
        alive = pool.map(partial(_enrolled, keyring, vault), wanted)
        return [tenant for tenant, lives in zip(wanted, alive, strict=True) if lives and tenant != GOLDEN_TENANT]


def _enrolled(keyring: KeyringClient, vault: KeyVaultClient, tenant: str) -> bool:
    try:
        keyring.enrol(tenant, vault)
    except TenantErased:
        return False
    return True
