"""A vault of the tests' own as settings describe it."""

from __future__ import annotations

from steward.settings import Vault
from tests.testbed.keyvault.ground import TENANT


def described(vault, principal="application", **changes) -> Vault:
    """What the settings say of *vault*."""
    vault.secret(principal)
    values = {
        "url": vault.url,
        "authority": vault.authority,
        "tenant": TENANT,
        "client_id": vault.client_id(principal),
        "client_secret": f"file:{vault.folder / 'secrets' / principal}",
        "ca_file": vault.ca_file,
        "verify_challenge_resource": False,
    }
    return Vault.model_validate(values | changes)
