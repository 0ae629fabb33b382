"""Azure Key Vault: keys that never leave it, and secrets, by name.

    with open_vault(settings.vault) as vault:
        wrap = vault.wrap("tenants", payload)
        vault.unwrap(wrap.kek, wrap.wrapped)

Nothing is remembered that a rotation could make stale: the newest version of a key is asked for at each `wrap` and
`sign`, so a new version is used by the next call. A secret is asked for each time too.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from functools import partial
from typing import Self

from azure.keyvault.keys.crypto import KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from steward.clients.keyvault_asking import ask
from steward.clients.keyvault_errors import Asked, VaultKeyDisabled, VaultRefused
from steward.clients.keyvault_keys import Signature, VaultKey, vault_key
from steward.clients.keyvault_login import principal
from steward.clients.keyvault_sdk import Sdk
from steward.clients.keyvault_transport import Announce
from steward.errors import BadInput
from steward.fieldcrypt.keyring import Wrap
from steward.settings import Vault

_READS_KEYS = "Key Vault Crypto Service Encryption User (or Key Vault Reader)"
_UNWRAPS = "Key Vault Crypto Service Encryption User"
_SIGNS = "Key Vault Crypto User"
_READS_SECRETS = "Key Vault Secrets User"
_IDENTIFIER = re.compile("https://[^/]+/keys/(?P<name>[0-9a-zA-Z-]{1,127})/(?P<version>[0-9a-fA-F]{32})")


def open_vault(vault: Vault) -> KeyVaultClient:
    """A client of *vault*; close it, or use it in `with`. BadInput where its CA file is missing. Nothing is asked yet."""
    return KeyVaultClient(vault)


class KeyVaultClient:
    """Keeps its connections and its token; safe to use from several threads, and after a fork.

    Every call raises VaultUnavailable or VaultThrottled (transient, within the limits of `keyvault_asking`), and
    VaultForbidden, VaultMissing, VaultKeyDisabled or VaultRefused, which waiting does not cure.
    """

    def __init__(self, vault: Vault, announce: Announce | None = None) -> None:
        if vault.ca_file and not vault.ca_file.is_file():
            raise BadInput(
                f"no CA file {vault.ca_file}", hint="let vault.ca_file name the CA of vault and issuer, in PEM"
            )
        self.url = vault.url.rstrip("/")
        self._vault, self._principal, self._announce_to = vault, principal(vault), announce
        # By process: a forked child must not share its parent's connections, nor wait for its locks.
        self._opened: dict[int, Sdk] = {}

    @property
    def _sdk(self) -> Sdk:
        process = os.getpid()
        return self._opened.get(process) or self._opened.setdefault(process, Sdk(self._vault, self._announce_to))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection of this process."""
        if opened := self._opened.pop(os.getpid(), None):
            opened.close()

    def key(self, name: str, version: str = "") -> VaultKey:
        """The public half of key *name*, and whether it may be used; its newest version where none is named."""
        call = partial(self._sdk.keys.get_key, name, version or None)
        return vault_key(ask(self._asked(f"read key {name}", _READS_KEYS), call))

    def wrap(self, name: str, payload: bytes) -> Wrap:
        """*payload* (at most 190 bytes for RSA 2048) under the newest version of key *name*: RSA-OAEP-256, RFC 8017.

        The public half wraps, here, so the payload leaves the process only as it is wrapped.
        """
        return self.wrap_under(self.key(name), payload)

    def wrap_under(self, key: VaultKey, payload: bytes) -> Wrap:
        """*payload* under the version that *key* is; the vault is not asked."""
        self._usable(key, "wrapKey")
        if not isinstance(key.public, RSAPublicKey):
            raise VaultRefused(
                f"key {key.kid} is no RSA key", hint="keys are wrapped under RSA keys of 2048 bits and more"
            )
        return Wrap(key.kid, key.public.encrypt(payload, OAEP(MGF1(SHA256()), SHA256(), label=None)))

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:
        """What *wrapped* holds, unwrapped in the vault by exactly the version that the identifier *kek* names."""
        name, version = self._named(kek)
        asked = self._asked(f"unwrap with key {name}/{version}", _UNWRAPS)
        call = partial(self._sdk.version(name, version).unwrap_key, KeyWrapAlgorithm.rsa_oaep_256, wrapped)
        return ask(asked, call).key

    def sign(self, key: str, algorithm: str, digest: bytes) -> Signature:
        """*digest* signed in the vault by *key*: an identifier, or a name, whose newest version then signs.

        *algorithm* is JSON Web Algorithms' name (RFC 7518): `ES256`, `PS256` … ECDSA signatures are r ‖ s, as there.
        """
        if algorithm not in {known.value for known in SignatureAlgorithm}:
            raise VaultRefused(f"unknown signature algorithm {algorithm!r}", hint="ES256 for P-256, PS256 for RSA")
        chosen = key if key.startswith("https://") else self._usable(self.key(key), "sign").kid
        name, version = self._named(chosen)
        asked = self._asked(f"sign by {algorithm} with key {name}/{version}", _SIGNS)
        call = partial(self._sdk.version(name, version).sign, SignatureAlgorithm(algorithm), digest)
        return Signature(chosen, ask(asked, call).signature)

    def secret(self, name: str) -> str:
        """The newest version of secret *name*, less surrounding white space. Not empty."""
        asked = self._asked(f"read secret {name}", _READS_SECRETS)
        value = (ask(asked, partial(self._sdk.secrets.get_secret, name)).value or "").strip()
        if not value:
            raise VaultRefused(f"secret {name} of vault {self.url} is empty", hint="set a new version of it")
        return value

    def _asked(self, action: str, role: str) -> Asked:
        return Asked(self.url, self._principal, action, role)

    def _usable(self, key: VaultKey, operation: str) -> VaultKey:
        """*key*, unless the vault itself would refuse *operation*: what is done here with its public half must not pass."""
        if refusal := key.refusal(operation, dt.datetime.now(dt.UTC)):
            raise VaultKeyDisabled(
                f"key {key.kid} of vault {self.url} must not be used: {refusal}",
                hint="see its attributes enabled, nbf and exp and its key_ops in the vault",
            )
        return key

    def _named(self, kid: str) -> tuple[str, str]:
        # The host is not compared: a vault's backup is restored under another name, and only this vault is ever asked.
        named = _IDENTIFIER.fullmatch(kid)
        if named is None:
            raise VaultRefused(
                f"{kid!r} identifies no version of a key", hint="expected https://VAULT/keys/NAME/VERSION"
            )
        return named["name"], named["version"]
