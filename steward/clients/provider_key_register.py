"""The register of the gateway's keys: filled from the vault and the provider while both still have them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from steward.ai.errors import NoAdministration
from steward.ai.key_rotation import KEY_ID
from steward.ai.keys import ProviderKey
from steward.clients.cost_book import enter_keys, registered_keys
from steward.clients.keyvault_errors import VaultForbidden, VaultRefused
from steward.clients.keyvault_secret_versions import open_secret_versions
from steward.clients.postgres import Connection, connect
from steward.clients.provider_keys import open_provider_keys
from steward.clients.secrets import read_secret
from steward.costs.kept import Register
from steward.costs.registering import HeldKey, match_keys
from steward.settings import Provider, Settings

_VAULT = "keyvault:"


def register_keys(settings: Settings, account: str, *, fence: Callable[[Connection], None] | None = None) -> Register:
    """Enter what is new of the account's keys, and tell all that were ever entered.

    A key that was replaced, revoked and disabled before this was called once is told by nobody any more: its attempts stay
    under its fingerprint. Raises NoAdministration, and what vault, provider and database raise.
    """
    provider = settings.providers.get(account)
    if provider is None:
        raise NoAdministration(f"the settings have no account {account}", hint="add it to [providers.…]")
    with connect(settings) as db:
        known = {key.key_id for key in registered_keys(db, account)}
    held, unread = _held(settings, provider, known)
    found = match_keys(account, held, _listed(settings, account), provider.project or "")
    with connect(settings) as db:
        if fence:
            fence(db)
        enter_keys(db, found.registered)
        return Register(registered=tuple(registered_keys(db, account)), untold=(*found.untold, *unread))


def _listed(settings: Settings, account: str) -> list[ProviderKey]:
    with open_provider_keys(settings, account, _nothing_is_written) as keys:
        return keys.all()


def _held(settings: Settings, provider: Provider, known: Collection[str]) -> tuple[list[HeldKey], list[str]]:
    """The key's versions that can be read, and a sentence about each that cannot."""
    if not provider.key.startswith(_VAULT):
        return [HeldKey("", read_secret(provider.key, settings.vault))], []
    held, unread = list[HeldKey](), list[str]()
    for found in _versions(settings, provider.key.removeprefix(_VAULT), known):
        (unread if isinstance(found, str) else held).append(found)  # pyright: ignore[reportArgumentType]  # each its own
    return held, unread


def _versions(settings: Settings, name: str, known: Collection[str]) -> Iterator[HeldKey | str]:
    with open_secret_versions(settings, _nothing_is_written) as vault:
        for seen in sorted(vault.listed(name), key=lambda version: version.version):
            if (key_id := seen.tags.get(KEY_ID, "")) in known:
                # Its tag never changes, and a disabled one could not be read.
                continue
            try:
                yield HeldKey(seen.version, vault.version(name, seen.version).value, key_id)
            except VaultForbidden:
                raise
            except VaultRefused as error:
                yield f"version {seen.version} of secret {name} cannot be read: {error.message}"


def _nothing_is_written() -> None:
    msg = "the register only reads vault and provider"
    raise AssertionError(msg)
