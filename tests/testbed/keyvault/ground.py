"""Vaults of the tests' own: `python -m replica.keyvault` on free ports, in a folder of its own, without a replica."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from azure.core.credentials_async import AsyncTokenCredential
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential

from replica import certificates, ports
from replica.secrets import obtain
from replica.server import python

TENANT = "6b6f5a14-7c43-4f2c-9c5e-2f1f0f3c7a10"
SUBSCRIPTION = "0c0f3f6e-54b4-4a0c-8d6d-5b8a2a6f9e21"
SCOPE = "https://vault.azure.net/.default"
PRINCIPALS = {
    "administrator": ["Key Vault Administrator"],
    "officer": ["Key Vault Crypto Officer", "Key Vault Secrets Officer"],
    "rotator": ["Steward Rotator", "Steward Secrets Rotator"],
    "user": ["Key Vault Crypto User", "Key Vault Secrets User"],
    "application": ["Key Vault Crypto Service Encryption User"],
    "auditor": ["Key Vault Reader"],
    "wrapper": ["Wrapper"],
    "nobody": [],
    "hasty": ["Key Vault Administrator"],
}
CUSTOM_ROLES = {
    "Steward Rotator": {
        "data_actions": ["Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"],
        "not_data_actions": ["Microsoft.KeyVault/vaults/keys/purge/action"],
    },
    "Steward Secrets Rotator": {
        "data_actions": [
            f"Microsoft.KeyVault/vaults/secrets/{each}"
            for each in ("getSecret/action", "readMetadata/action", "setSecret/action", "update/action", "delete")
        ]
    },
    # May use keys without reading them: the SDK must then ask the vault instead of computing for itself.
    "Wrapper": {
        "data_actions": [
            f"Microsoft.KeyVault/vaults/keys/{each}/action"
            for each in ("encrypt", "decrypt", "wrap", "unwrap", "sign", "verify")
        ]
    },
}
_UP_SECONDS = 30


@dataclass
class TestVault:
    """One process with its folder; `start` and `kill` may alternate."""

    __test__ = False

    folder: Path
    more: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        chosen = ports.choose(["vault", "login"], {})
        self.vault_port, self.login_port = chosen["vault"], chosen["login"]
        self.url, self.authority = f"https://127.0.0.1:{self.vault_port}", f"https://127.0.0.1:{self.login_port}"
        certificate, key = certificates.issue(self.folder / "certificates", "keyvault")
        self.ca_file = certificates.authority(self.folder / "certificates")
        self.configuration = self.folder / "keyvault.toml"
        described = {
            "folder": str(self.folder / "vault"),
            "vault_port": self.vault_port,
            "login_port": self.login_port,
            "certificate": str(certificate),
            "certificate_key": str(key),
            "tenant": TENANT,
            "subscription": SUBSCRIPTION,
            "principals": [self._principal(name, roles) for name, roles in PRINCIPALS.items()],
            "custom_roles": CUSTOM_ROLES,
            **self.more,
        }
        self.configuration.write_text(tomli_w.dumps(described))

    def _principal(self, name: str, roles: list[str]) -> dict[str, Any]:
        self.secret(name)
        life = {"token_seconds": 1} if name == "hasty" else {}
        secret_file = str(self.folder / "secrets" / name)
        return {
            "name": name,
            "client_id": self.client_id(name),
            "object_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"object:{name}")),
            "secret_file": secret_file,
            "roles": roles,
            **life,
        }

    def secret(self, name: str) -> str:
        return obtain(self.folder / "secrets", name)

    @staticmethod
    def client_id(name: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"client:{name}"))

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [python(), "-m", "replica.keyvault", str(self.configuration)], stdout=log, stderr=log
        )
        log.close()
        deadline = time.monotonic() + _UP_SECONDS
        while not all(map(_listens, (self.vault_port, self.login_port))):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the vault did not start:\n{(self.folder / 'log').read_text()}", pytrace=False)
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: no handler runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(20)
        self.process = None
        return code

    def credential(self, principal: str = "administrator", **more: Any) -> ClientSecretCredential:
        return ClientSecretCredential(**self._credential(principal), **more)

    def async_credential(self, principal: str = "administrator") -> AsyncClientSecretCredential:
        return AsyncClientSecretCredential(**self._credential(principal))

    def _credential(self, principal: str) -> dict[str, Any]:
        return {
            "tenant_id": TENANT,
            "client_id": self.client_id(principal),
            "client_secret": self.secret(principal),
            "authority": self.authority,
            "disable_instance_discovery": True,
            "connection_verify": str(self.ca_file),
        }

    @contextmanager
    def client(self, kind: Callable[..., Any], principal: str = "administrator", **more: Any) -> Generator[Any]:
        """`kind` is SecretClient or KeyClient."""
        with (
            self.credential(principal) as credential,
            kind(
                self.url, credential, verify_challenge_resource=False, connection_verify=str(self.ca_file), **more
            ) as client,
        ):
            yield client

    @asynccontextmanager
    async def async_client(
        self, kind: Callable[..., Any], principal: str = "administrator", **more: Any
    ) -> AsyncGenerator[Any]:
        """`kind` is the aio SecretClient or KeyClient."""
        credential: AsyncTokenCredential
        async with self.async_credential(principal) as credential:
            options = {"verify_challenge_resource": False, "connection_verify": str(self.ca_file), **more}
            async with kind(self.url, credential, **options) as client:
                yield client

    def token(self, principal: str = "administrator", scope: str = SCOPE) -> str:
        with self.credential(principal) as credential:
            return credential.get_token(scope).token

    def http(self, token: str | None = None) -> httpx.Client:
        """Plain HTTP, for what no SDK would send."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return httpx.Client(base_url=self.url, verify=context, headers=headers, params={"api-version": "7.6"})

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "vault" / "audit.log").read_text().splitlines()]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(folder: Path, **more: Any) -> Generator[TestVault]:
    folder.mkdir(parents=True, exist_ok=True)
    vault = TestVault(folder, more)
    vault.start()
    try:
        yield vault
    finally:
        vault.kill()


NewVault = Callable[..., AbstractContextManager[TestVault]]
