"""The replica's vault and keyring as others than Steward itself reach them."""

from __future__ import annotations

from replica.server import Place
from replica.servers.keyvault import client_id, client_secret
from steward.settings import Settings, Vault


def vault_as(place: Place, settings: Settings, principal: str) -> Vault:
    """`administrator`, `steward`, `application` or `auditor`."""
    login = {"client_id": client_id(principal), "client_secret": place.secret_ref(client_secret(principal))}
    return settings.vault.model_copy(update=login)
