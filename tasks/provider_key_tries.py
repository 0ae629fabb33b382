"""What tries at a rotation of a provider's key leave behind, by which names, and how it is cleared away."""

from __future__ import annotations

from collections.abc import Mapping

from steward.ai.key_rotation import KEY_ID, OPERATION, KeysBegun, NewKey, OldKey, strays
from steward.ai.key_rotation_errors import SecretChangedMeanwhile
from steward.ai.keys import prefix_of
from steward.clients.attempts_keys import installation
from steward.clients.keyvault_secret_versions import SecretVersion, VersionedSecrets
from steward.clients.postgres import connect
from steward.clients.provider_keys import ProviderKeys
from steward.settings import Settings
from tasks.durable import operation


def tries_waiting(vault: VersionedSecrets, begun: KeysBegun) -> dict[str, Mapping[str, str]]:
    """Secrets of keys that were made and are not in use, by name, with their tags."""
    return {name: tags for name, tags in vault.names().items() if name.startswith(next_name(begun))}


def clear_tries(settings: Settings, vault: VersionedSecrets, begun: KeysBegun, keys: ProviderKeys) -> None:
    """Take back keys that no version of the account's secret ever held, and put away secrets of tries."""
    in_use = {each.id for each in begun.old}
    for stray in strays(keys.all(), prefix(settings, begun), vault.listed(begun.secret)):
        # One that is known by its looks alone has no version that names it.
        if stray.id not in in_use:
            keys.revoke(OldKey(id=stray.id, owner=stray.owner))
    for name in tries_waiting(vault, begun):
        vault.put_away(name)


def require_unchanged(begun: KeysBegun, current: SecretVersion, expected: str) -> None:
    """SecretChangedMeanwhile."""
    if current.version != expected:
        raise SecretChangedMeanwhile(
            f"secret {begun.secret} has version {current.version} now, expected {expected}: somebody else set it",
            hint="see the vault's own log (SecretSet); then run this again: it takes the newest version for the key in use",
        )


def holds(current: SecretVersion, new: NewKey) -> bool:
    """Whether this operation has put the new key into use."""
    return (current.tags.get(OPERATION), current.tags.get(KEY_ID)) == (mark(), new.id)


def mark() -> str:
    """By what this operation knows what it made again: its own in every attempt, another's in every other round."""
    return f"{operation().id}/{operation().round}"


def prefix(settings: Settings, begun: KeysBegun) -> str:
    """Of the names of all keys that are made for the account."""
    with connect(settings) as db:
        return prefix_of(installation(db), begun.account)


def next_name(begun: KeysBegun) -> str:
    """With what the names of secrets begin that hold a key until it is in use."""
    return f"{begun.secret}-next-"
