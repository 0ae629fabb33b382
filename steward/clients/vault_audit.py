"""What the vault lists, for an audit: its keys with their versions, and its secrets without their values. Reads only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Generator
from contextlib import closing, contextmanager
from functools import partial

from azure.keyvault.keys import KeyProperties, KeyRotationPolicyAction, KeyVaultKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from steward.clients.key_calls import KeyJournal
from steward.clients.keyvault import KeyVaultClient
from steward.clients.keyvault_asking import ask
from steward.clients.keyvault_keys import vault_key
from steward.clients.keyvault_secrets import list_secrets
from steward.clients.keyvault_transport import Announce
from steward.keys.actions import action_of
from steward.keys.audit_facts import Key, Secret, Shape, VaultFacts, Version
from steward.keys.calls import Note
from steward.settings import Settings, Vault

_READS_KEYS = "Key Vault Crypto Officer (or Key Vault Reader)"
_READS_POLICIES = "Key Vault Crypto Officer"


def read_vault(
    vault: Vault, kek: str, known: Collection[str], journal: tuple[Settings, Note] | None = None
) -> VaultFacts:
    """Every key and secret; of keys in *known*, what they are too. *kek* is the one that wraps tenants' keys.

    With a *journal* each question is announced in it first. Raises VaultUnavailable or VaultThrottled (transient),
    VaultForbidden, VaultRefused; what the journal's database raises.
    """
    with _announced(journal) as announce, _Lister(vault, announce) as lister:
        return VaultFacts(
            read_at=dt.datetime.now(dt.UTC),
            vault=lister.url,
            kek=kek,
            listed_keys=tuple(lister.whole_key(name, whole=name in {*known, kek}) for name in lister.names()),
            secrets=lister.secrets(),
        )


@contextmanager
def _announced(journal: tuple[Settings, Note] | None) -> Generator[Announce | None]:
    if journal is None:
        yield None
        return
    with closing(KeyJournal(*journal)) as opened:
        yield lambda method, url: opened.announce(action_of(method, url))


class _Lister(KeyVaultClient):
    def secrets(self) -> tuple[Secret, ...]:
        return list_secrets(self._sdk, self.url, self._principal)

    def names(self) -> list[str]:
        def listed(**limits: float) -> list[str]:
            return [each.name or "" for each in self._sdk.keys.list_properties_of_keys(**limits)]

        return sorted(ask(self._asked("list keys", _READS_KEYS), listed))

    def whole_key(self, name: str, *, whole: bool) -> Key:
        """*name* with its versions, newest first; where not *whole*, without what needs a question more each."""
        versions = self._versions(name)
        if not whole or not versions:
            return Key(name=name, versions=versions)
        newest = ask(self._asked(f"read key {name}", _READS_KEYS), partial(self._sdk.keys.get_key, name))
        # Which one it is, the vault alone knows: dates are whole seconds.
        ordered = sorted(versions, key=lambda each: each.version != newest.properties.version)
        return Key(name=name, versions=tuple(ordered), shape=_shape(newest), rotates_itself=self._rotates(name))

    def _versions(self, name: str) -> tuple[Version, ...]:
        def listed(**limits: float) -> list[KeyProperties]:
            return list(self._sdk.keys.list_properties_of_key_versions(name, **limits))

        found = ask(self._asked(f"list versions of key {name}", _READS_KEYS), listed)
        return tuple(sorted(map(_version, found), key=_created, reverse=True))

    def _rotates(self, name: str) -> bool:
        asked = self._asked(f"read the rotation policy of key {name}", _READS_POLICIES)
        policy = ask(asked, partial(self._sdk.keys.get_key_rotation_policy, name))
        actions = [str(getattr(each.action, "value", each.action)) for each in policy.lifetime_actions]
        return any(action.lower() == KeyRotationPolicyAction.rotate.value.lower() for action in actions)


def _version(about: KeyProperties) -> Version:
    return Version(
        version=about.version or "",
        enabled=about.enabled is not False,
        created_at=about.created_on,
        not_before=about.not_before,
        expires_at=about.expires_on,
        tags=about.tags or {},
    )


def _created(version: Version) -> float:
    return version.created_at.timestamp() if version.created_at else 0


def _shape(key: KeyVaultKey) -> Shape:
    known = vault_key(key)
    operations = tuple(sorted(known.operations))
    if isinstance(known.public, RSAPublicKey):
        return Shape(type="RSA", size=known.public.key_size, operations=operations)
    if isinstance(known.public, EllipticCurvePublicKey):
        return Shape(type="EC", size=known.public.key_size, operations=operations)
    return Shape(type=str(getattr(key.key_type, "value", key.key_type)), size=0, operations=operations)
