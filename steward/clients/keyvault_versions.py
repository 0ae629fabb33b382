"""Versions of the vault's keys: found, made and switched off. Whether that is wise is decided elsewhere.

A version is made with tags that name who wants it, and looked for by them first: `create` cannot be asked for twice
with the effect of once, and neither can Azure's `rotate`, which also copies the tags of the version before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from azure.keyvault.keys import KeyClient, KeyOperation, KeyProperties

from steward.clients.keyvault import KeyVaultClient
from steward.clients.keyvault_asking import ask, ask_once
from steward.clients.keyvault_errors import VaultRefused
from steward.settings import Vault

#: 128 bits of strength (NIST SP 800-57 part 1, table 2); 4096 would be slower for the sake of a few bits more.
KEK_BITS = 3072
#: Primes take a vault a second or so.
CREATE_SECONDS = 8.0
_OPERATIONS: list[str | KeyOperation] = [KeyOperation.wrap_key, KeyOperation.unwrap_key]
_CHANGES_KEYS = "Key Vault Crypto Officer (or a role of keys/create/action, keys/update/action and keys/read)"
_LISTS_KEYS = "Key Vault Reader"


@dataclass(frozen=True, slots=True)
class KekVersion:
    """One version of a key that wraps keys; times in UTC, to the second."""

    kid: str
    version: str
    created_at: dt.datetime
    enabled: bool
    expires_at: dt.datetime | None
    tags: Mapping[str, str]


def open_versions(vault: Vault) -> VersionedKeys:
    """A client whose calls are in nobody's journal: for readers, and tests. Otherwise as `open_vault`."""
    return VersionedKeys(vault)


class VersionedKeys(KeyVaultClient):
    """A vault's client that makes and switches versions too."""

    def versions(self, name: str) -> list[KekVersion]:
        """Every version of key *name*, latest first; none for an unknown name.

        The vault tells when they were made to the second only: which of two is in use, `key(name)` tells.
        """
        asked = self._asked(f"list versions of key {name}", _LISTS_KEYS)
        return sorted(ask(asked, partial(_listed, self._sdk.keys, name)), key=_age, reverse=True)

    def tagged(self, name: str, tags: Mapping[str, str]) -> KekVersion | None:
        """The latest version of key *name* that has all of *tags*."""
        return next((one for one in self.versions(name) if tags.items() <= one.tags.items()), None)

    def new_version(self, name: str, tags: dict[str, str], *, expires_at: dt.datetime | None = None) -> KekVersion:
        """The version of key *name* with *tags*, made if there is none: RSA 3072, to wrap and to unwrap.

        VaultUnavailable leaves open whether it was made: the next attempt finds out. Two that ask at once may make two
        here; JournaledVault does not let them.
        """
        if not tags:
            raise VaultRefused(
                f"a new version of key {name} needs a tag", hint="one that names the operation: it is found again by it"
            )
        return self.tagged(name, tags) or self._make(name, tags, expires_at)

    def enable_version(self, kid: str) -> None:
        """Let the version be used again; harmless twice."""
        self._switch(kid, enabled=True)

    def disable_version(self, kid: str) -> None:
        """Let the vault refuse everything that is asked of the version, unwrapping too; harmless twice."""
        self._switch(kid, enabled=False)

    def _make(self, name: str, tags: dict[str, str], expires_at: dt.datetime | None) -> KekVersion:
        call = partial(
            self._sdk.keys.create_rsa_key,
            name,
            size=KEK_BITS,
            key_operations=_OPERATIONS,
            tags=tags,
            expires_on=expires_at,
        )
        made = ask_once(self._asked(f"make a version of key {name}", _CHANGES_KEYS), call, CREATE_SECONDS)
        return _version(made.properties)

    def _switch(self, kid: str, *, enabled: bool) -> None:
        name, version = self._named(kid)
        asked = self._asked(f"{'enable' if enabled else 'disable'} key {name}/{version}", _CHANGES_KEYS)
        ask(asked, partial(self._sdk.keys.update_key_properties, name, version, enabled=enabled))


def _listed(keys: KeyClient, name: str, **limits: Any) -> list[KekVersion]:
    # Whole, within the limits of one question: pages of 25 are fetched as the list is gone through.
    return [_version(one) for one in keys.list_properties_of_key_versions(name, **limits)]


def _version(about: KeyProperties) -> KekVersion:
    return KekVersion(
        kid=about.id or "",
        version=about.version or "",
        created_at=about.created_on or dt.datetime.fromtimestamp(0, dt.UTC),
        enabled=about.enabled is not False,
        expires_at=about.expires_on,
        tags=dict(about.tags or {}),
    )


def _age(one: KekVersion) -> tuple[dt.datetime, str]:
    return one.created_at, one.version
