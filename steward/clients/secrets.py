"""A secret by its reference, wherever it lies: in a file, or in the vault."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from steward import settings
from steward.errors import BadInput

if TYPE_CHECKING:
    from steward.clients.keyvault import KeyVaultClient


def read_secret(reference: str, vault: settings.Vault | None) -> str:
    """The secret that *reference*, `file:PATH` or `keyvault:NAME`, names, as it is now.

    Read where it is used, never passed on, never stored: a rotated secret is used by the next connection. Raises
    BadInput, and for a secret of *vault* what `keyvault` raises; VaultUnavailable may pass.
    """
    scheme, _, name = reference.partition(":")
    if scheme != "keyvault":
        return settings.read_secret(reference)
    if vault is None:
        raise BadInput(f"secret {name} lies in a vault, and none is named", hint="add [vault] to the settings file")
    return _client(vault).secret(name)  # pyright: ignore[reportArgumentType]  # frozen: pydantic gives it a hash


# Connections and a token are kept, secrets are not.
@lru_cache(maxsize=4)
def _client(vault: settings.Vault) -> KeyVaultClient:
    # Here, because whoever has all secrets in files needs no Azure SDK.
    from steward.clients.keyvault import open_vault  # noqa: PLC0415 # the reason stands above

    return open_vault(vault)
