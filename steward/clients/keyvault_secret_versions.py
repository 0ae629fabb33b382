"""Secrets of the vault that are replaced by operations: set with tags, found by them, marked, and put away.

A value leaves this module only in `SecretVersion.value`, which shows itself to nobody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from steward.ai.key_rotation import VersionSeen
from steward.clients.before_writing import BeforeWrite
from steward.clients.keyvault import KeyVaultClient
from steward.clients.keyvault_asking import READ_SECONDS, ask, ask_once
from steward.clients.keyvault_errors import VaultRefused
from steward.clients.keyvault_sdk import Sdk
from steward.errors import BadInput
from steward.settings import Settings, Vault

_CHANGES = "Steward Secrets Rotator (docs/keyvault.md)"
_READS = "Key Vault Secrets User"


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret, its value included."""

    name: str
    version: str
    tags: Mapping[str, str]
    value: str = field(repr=False)


@contextmanager
def open_secret_versions(settings: Settings, before_write: BeforeWrite) -> Generator[VersionedSecrets]:
    """A client of the settings' vault; *before_write* is asked right before whatever changes something.

    Connections and a token are kept for the next, secrets are not.
    """
    if settings.vault is None:
        raise BadInput("the settings name no vault", hint="add [vault]; see docs/settings.md")
    yield VersionedSecrets(settings.vault, before_write, _kept(settings.vault))  # pyright: ignore[reportArgumentType]  # frozen: pydantic gives it a hash


@lru_cache(maxsize=4)
def _kept(_vault: Vault) -> dict[int, Sdk]:
    return {}


class VersionedSecrets(KeyVaultClient):
    """Raises as KeyVaultClient does."""

    def __init__(self, vault: Vault, before_write: BeforeWrite, opened: dict[int, Sdk]) -> None:
        super().__init__(vault)
        self._before_write, self._opened = before_write, opened

    def version(self, name: str, version: str = "") -> SecretVersion:
        """A version with its value; the newest where none is named. VaultMissing, VaultRefused for an empty one."""
        asked = self._asked(f"read secret {name}", _READS)
        found = ask(asked, partial(self._sdk.secrets.get_secret, name, version or None))
        value = (found.value or "").strip()
        if not value:
            raise VaultRefused(f"secret {name} of vault {self.url} is empty", hint="set a new version of it")
        return SecretVersion(name, found.properties.version or "", dict(found.properties.tags or {}), value)

    def listed(self, name: str) -> list[VersionSeen]:
        """All of a secret; none for an unknown one. In no order: the vault tells when they were made to the second."""
        asked = self._asked(f"list versions of secret {name}", _READS)

        def versions(**limits: Any) -> list[VersionSeen]:
            found = self._sdk.secrets.list_properties_of_secret_versions(name, **limits)
            # Whole, within the limits of one question: pages of 25 are fetched as the list is gone through.
            return [VersionSeen(version=each.version or "", tags=each.tags or {}) for each in found]

        return ask(asked, versions)

    def names(self) -> dict[str, Mapping[str, str]]:
        """Every secret that can be read, with the tags of its newest version."""

        def secrets(**limits: Any) -> dict[str, Mapping[str, str]]:
            found = self._sdk.secrets.list_properties_of_secrets(**limits)
            return {each.name or "": each.tags or {} for each in found if each.enabled is not False}

        return ask(self._asked("list secrets", _READS), secrets)

    def put(self, name: str, value: str, tags: Mapping[str, str], expires_at: dt.datetime) -> SecretVersion:
        """A new version. VaultUnavailable leaves open whether it was made: look for its tags first."""
        self._before_write()
        call = partial(self._sdk.secrets.set_secret, name, value, tags=dict(tags), expires_on=expires_at)
        made = ask_once(self._asked(f"set secret {name}", _CHANGES), call, READ_SECONDS)
        return SecretVersion(name, made.properties.version or "", dict(tags), value)

    def mark(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Let the version have exactly *tags*; harmless twice."""
        self._before_write()
        call = partial(self._sdk.secrets.update_secret_properties, name, version, tags=dict(tags))
        ask(self._asked(f"tag secret {name}", _CHANGES), call)

    def disable(self, name: str, version: str) -> None:
        """Let nobody read the version any more; harmless twice."""
        self._before_write()
        call = partial(self._sdk.secrets.update_secret_properties, name, version, enabled=False)
        ask(self._asked(f"disable a version of secret {name}", _CHANGES), call)

    def put_away(self, name: str) -> None:
        """Delete the secret, to be recovered while the vault's retention lasts; harmless twice. It is never purged."""
        self._before_write()

        def delete(**limits: Any) -> None:
            try:
                self._sdk.secrets.begin_delete_secret(name, **limits)
            except (ResourceNotFoundError, ResourceExistsError):
                # It is gone, or on its way.
                return

        ask(self._asked(f"delete secret {name}", _CHANGES), delete)
