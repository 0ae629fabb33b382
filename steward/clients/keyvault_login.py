"""Who asks the vault: the host's own identity, or an application with a secret in a file."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from azure.core.credentials import AccessToken
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from steward.settings import Vault, read_secret


class Credential(Protocol):
    """What the Azure clients take for a credential, and may be closed."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for *scopes*."""
        ...

    def close(self) -> None:
        """Close the connections to the issuer."""
        ...


def open_credential(vault: Vault, *, connect_seconds: float, read_seconds: float) -> Credential:
    """The credential that *vault* names. A host's identity keeps the time limits of azure-identity."""
    common: dict[str, Any] = {"logging_enable": False}
    if vault.authority:
        common |= {"authority": vault.authority}
    if vault.client_id is None:
        return DefaultAzureCredential(**common)
    # An issuer of one's own is in no list of Microsoft's.
    common |= {"disable_instance_discovery": vault.authority is not None}
    common |= {"connection_timeout": connect_seconds, "read_timeout": read_seconds, "retry_total": 0}
    if vault.ca_file:
        common |= {"connection_verify": str(vault.ca_file)}
    return _SecretInFile(vault, common)


def principal(vault: Vault) -> str:
    """Who that is, for messages."""
    return f"application {vault.client_id}" if vault.client_id else "this host's identity"


class _SecretInFile:
    """An application's login whose secret is read from its file for each token, so that a new one needs no restart."""

    def __init__(self, vault: Vault, options: dict[str, Any]) -> None:
        self._vault, self._options = vault, options
        self._turn = threading.Lock()
        self._secret = ""
        self._credential: ClientSecretCredential | None = None

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """As TokenCredential says. The SDK asks once a token's life, about an hour."""
        return self._current().get_token(*scopes, **options)

    def close(self) -> None:
        """Close the connections to the issuer."""
        if self._credential:
            self._credential.close()

    def _current(self) -> ClientSecretCredential:
        secret = read_secret(self._vault.client_secret or "")
        with self._turn:
            if self._credential is None or secret != self._secret:
                self.close()
                self._secret = secret
                self._credential = ClientSecretCredential(
                    self._vault.tenant or "", self._vault.client_id or "", secret, **self._options
                )
            return self._credential
