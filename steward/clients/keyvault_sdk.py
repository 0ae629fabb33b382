"""Azure's clients of one vault, with everything switched off that is decided elsewhere or told too much."""

from __future__ import annotations

import threading
from typing import Any

from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.secrets import SecretClient

from steward.clients.keyvault_asking import CONNECT_SECONDS, READ_SECONDS
from steward.clients.keyvault_login import open_credential
from steward.clients.keyvault_transport import Announce, AnnouncingTransport
from steward.settings import Vault

#: Versions whose clients are kept: a few of the key that wraps tenants' keys, one that signs.
_MOST_VERSIONS = 64


class Sdk:
    """They share a login, and keep their connections."""

    def __init__(self, vault: Vault, announce: Announce | None = None) -> None:
        options: dict[str, Any] = {
            "verify_challenge_resource": vault.verify_challenge_resource,
            # Tries are counted in `keyvault_asking`: the SDK's own would wait for as long as a vault asks it to.
            "retry_total": 0,
            # It would write bodies to the log, secrets and unwrapped keys among them.
            "logging_enable": False,
        }
        if vault.ca_file:
            options |= {"connection_verify": str(vault.ca_file)}
        self._credential = open_credential(vault, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS)

        def transport() -> dict[str, Any]:
            return {"transport": AnnouncingTransport(announce, **options)} if announce else {}

        self.keys = KeyClient(vault.url, self._credential, **options, **transport())
        self.secrets = SecretClient(vault.url, self._credential, **options, **transport())
        self._versions: dict[tuple[str, str], CryptographyClient] = {}
        self._keeping = threading.Lock()

    def version(self, name: str, version: str) -> CryptographyClient:
        """The client of one version of a key, which asks once whether it may know the public half."""
        with self._keeping:
            if (name, version) not in self._versions:
                if len(self._versions) >= _MOST_VERSIONS:
                    self._versions.clear()
                self._versions[name, version] = self.keys.get_cryptography_client(name, key_version=version)
            return self._versions[name, version]

    def close(self) -> None:
        """Close every connection."""
        for closing in (self.keys, self.secrets, self._credential):
            closing.close()
