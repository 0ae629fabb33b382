"""Keys that the vault holds in stock for an account whose provider makes none by API: secrets that their tags describe."""

from __future__ import annotations

from collections.abc import Sequence

from steward.ai.key_rotation import (
    AVAILABLE,
    IN_USE,
    KEY_ID,
    OPERATION,
    POOL,
    REFUSED,
    STATE,
    TAKEN,
    KeysBegun,
    NewKey,
    PoolKey,
    draw,
    free_keys,
    used_keys,
)
from steward.ai.keys import ProviderKey, version_of
from steward.clients.keyvault_errors import VaultMissing
from steward.clients.keyvault_secret_versions import VersionedSecrets


def require_pool(vault: VersionedSecrets, account: str, used: frozenset[str], listed: Sequence[ProviderKey]) -> None:
    """PoolEmpty where nothing could be taken. What a rotation that is over took and did not use counts as free."""
    free = [
        each.model_copy(update={"state": AVAILABLE}) if each.state == TAKEN else each for each in _pool(vault, account)
    ]
    draw([each for each in free if each.key_id not in used], listed, "", account)


def take_from_pool(vault: VersionedSecrets, begun: KeysBegun, mark: str, listed: Sequence[ProviderKey]) -> NewKey:
    """The key that this operation took already, or the next; marked as taken before it is told."""
    _settle(vault, begun, mark)
    used = used_keys(vault.listed(begun.secret)) | {each.id for each in begun.old}
    pool = [each for each in _pool(vault, begun.account) if each.key_id not in used]
    chosen = draw(pool, listed, mark, begun.account)
    _put_state(vault, chosen.secret, TAKEN, mark)
    at = vault.version(chosen.secret)
    return NewKey(
        id=chosen.key_id,
        secret=at.name,
        version=at.version,
        fingerprint=version_of(at.value),
        pool_left=sum(each.secret != chosen.secret for each in free_keys(pool)),
    )


def give_back(vault: VersionedSecrets, account: str, mark: str, *, refused: bool) -> None:
    """What this operation took; a key that the provider refuses is not drawn again."""
    for each in _pool(vault, account):
        if (each.state, each.operation) == (TAKEN, mark):
            _put_state(vault, each.secret, REFUSED if refused else AVAILABLE)


def mark_in_use(vault: VersionedSecrets, account: str, name: str) -> None:
    """The account's own secret has it now: the pool's goes, and is in no pool any more if somebody recovers it."""
    if name in {each.secret for each in _pool(vault, account)}:
        _put_state(vault, name, IN_USE)
        vault.put_away(name)


def _settle(vault: VersionedSecrets, begun: KeysBegun, mark: str) -> None:
    """What rotations that are over took: it is in use, or to be had again. Nobody else rotates this account now."""
    used = used_keys(vault.listed(begun.secret))
    for each in _pool(vault, begun.account):
        if each.state == TAKEN and each.operation != mark:
            if each.key_id in used:
                mark_in_use(vault, begun.account, each.secret)
            else:
                _put_state(vault, each.secret, AVAILABLE)


def _pool(vault: VersionedSecrets, account: str) -> list[PoolKey]:
    return [
        PoolKey(
            secret=name,
            key_id=tags.get(KEY_ID, ""),
            state=tags.get(STATE, ""),
            operation=tags.get(OPERATION, ""),
        )
        for name, tags in vault.names().items()
        if tags.get(POOL) == account
    ]


def _put_state(vault: VersionedSecrets, name: str, state: str, mark: str = "") -> None:
    try:
        at = vault.version(name)
    except VaultMissing:
        # Put away by a try that died before it said so.
        return
    tags = {tag: value for tag, value in at.tags.items() if tag != OPERATION} | {STATE: state}
    vault.mark(name, at.version, tags | ({OPERATION: mark} if mark else {}))
