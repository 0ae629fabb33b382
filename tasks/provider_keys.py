"""The steps of giving an account at a provider another key, until it is in use.

No secret goes in or out of a step: a step reads it from the vault where it is used, and tells ids, versions and fingerprints.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from steward.ai.key_rotation import (
    KEY_ID,
    OPERATION,
    REPLACES,
    KeysBegun,
    NewKey,
    Switched,
    VersionSeen,
    old_keys,
    used_keys,
)
from steward.ai.key_rotation_errors import NotRotatable
from steward.ai.keys import LIFE_DAYS, MOST_DAYS, version_of
from steward.clients.attempts_keys import clock, lagging_workers, living_workers
from steward.clients.keyvault_secret_versions import SecretVersion, VersionedSecrets, open_secret_versions
from steward.clients.postgres import connect
from steward.clients.provider_keys import open_openai_keys, open_provider_keys, takes
from steward.operations.holding import guard
from steward.operations.steps import Kind, current_step
from steward.settings import Provider, Settings, load
from tasks.durable import operation, step
from tasks.provider_key_pool import give_back, require_pool, take_from_pool
from tasks.provider_key_tries import clear_tries, holds, mark, next_name, prefix, require_unchanged, tries_waiting
from tasks.waiting import waited

#: How long a provider may take until it knows a key that was made.
KNOWN_SECONDS = 30.0


@step("check preconditions", run_name="check what another key of {account} needs")
def begin_rotation(account: str) -> KeysBegun:
    """Settings, vault, provider, workers: NotRotatable and what each of them raises. Nothing is touched."""
    settings = load()
    provider, name = _account(settings, account)
    with open_secret_versions(settings, guard) as vault, open_provider_keys(settings, account, guard) as keys:
        current, listed = vault.version(name), keys.all()
        seen = VersionSeen(version=current.version, tags=current.tags)
        versions = vault.listed(name)
        old = old_keys(seen, current.value, versions, listed)
        is_taken = takes(provider, current.value)
        if is_taken and current.version not in {each.version for each in old}:
            raise NotRotatable(
                f"the administration of {account} lists no key that secret {name} could be, and the provider takes it",
                hint=f"compare project and admin_key in [providers.{account}], or tag the secret's newest version "
                f"with the key's id: {KEY_ID}=ID",
            )
        if provider.kind == "anthropic":
            require_pool(vault, account, used_keys([seen, *versions]) | {each.id for each in old}, listed)
    fingerprint = version_of(current.value)
    with connect(settings) as db:
        if lagging := lagging_workers(db, account, fingerprint):
            raise NotRotatable(
                f"workers of the gateway do not tell that they use the key of {account}: {', '.join(lagging)}",
                hint="a worker tells within a minute of a change: restart one that does not, then run this again",
            )
        return KeysBegun(
            account=account,
            kind=provider.kind,
            secret=name,
            started_at=clock(db),
            version=current.version,
            fingerprint=fingerprint,
            old=old,
            was_refused=not is_taken,
            workers=living_workers(db),
        )


def _account(settings: Settings, account: str) -> tuple[Provider, str]:
    """The account, and the name of the secret that its key is."""
    provider = settings.providers.get(account)
    if provider is None:
        raise NotRotatable(
            f"unknown account {account!r}; known: {', '.join(sorted(settings.providers)) or 'none'}",
            hint=f"add [providers.{account}] to the settings, or use one of the known names",
        )
    scheme, _, name = provider.key.partition(":")
    if scheme != "keyvault":
        raise NotRotatable(
            f"the key of {account} lies in a file, and nothing can set another for all that read it",
            hint="put it into the vault, and write key = 'keyvault:NAME': docs/runbooks/rotate-provider-keys.md",
        )
    if sharing := [
        other for other, each in settings.providers.items() if other != account and each.key == provider.key
    ]:
        raise NotRotatable(
            f"secret {name} is the key of {', '.join(sorted(sharing))} too",
            hint="give each account a secret of its own",
        )
    return provider, name


@step("take a new key", run_name="a new key for {begun.account}")
def take_new_key(begun: KeysBegun) -> NewKey:
    """Made by the provider's API, or drawn from the vault's pool; in the vault when this returns, and used by nobody.

    What an earlier try made is taken where its secret is in the vault, and deleted where nobody has it.
    """
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        if begun.kind == "openai":
            return _made(settings, vault, begun)
        with open_provider_keys(settings, begun.account, guard) as keys:
            return take_from_pool(vault, begun, mark(), keys.all())


def _made(settings: Settings, vault: VersionedSecrets, begun: KeysBegun) -> NewKey:
    own = mark()
    with open_openai_keys(settings, begun.account, guard) as keys:
        owners = {each.id: each.owner for each in keys.all()}
        for name, tags in tries_waiting(vault, begun).items():
            if tags.get(OPERATION) == own and (key := tags.get(KEY_ID, "")) in owners:
                found = vault.version(name)
                return _new(key, owners[key], found)
        clear_tries(settings, vault, begun, keys)
        # What one try names, no other names again: a call of a try that died may still arrive.
        once = f"{operation().token}-{current_step().tries}"
        made = keys.make(f"{prefix(settings, begun)}{once}", MOST_DAYS)
        put = vault.put(f"{next_name(begun)}{once}", made.secret, {KEY_ID: made.key_id, OPERATION: own}, _expiry())
        return _new(made.key_id, made.owner, put)


def _new(key: str, owner: str, at: SecretVersion) -> NewKey:
    return NewKey(id=key, owner=owner, secret=at.name, version=at.version, fingerprint=version_of(at.value))


@step("probe the new key", run_name="whether {begun.account} takes the new key")
def probe_new_key(begun: KeysBegun, new: NewKey) -> bool:
    """Asked for the models, which costs nothing, for as long as a provider may take to know a key."""
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        secret = vault.version(new.secret, new.version).value
    return waited(lambda: takes(settings.providers[begun.account], secret), KNOWN_SECONDS)


@step("discard the new key", run_name="discard the new key of {begun.account}", kind=Kind.UNDO)
def discard_new_key(begun: KeysBegun, *, refused: bool) -> None:
    """Nothing is left of it: a key that was made is deleted, one of the pool is put back, or marked as refused."""
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        if begun.kind == "anthropic":
            give_back(vault, begun.account, mark(), refused=refused)
            return
        with open_openai_keys(settings, begun.account, guard) as keys:
            clear_tries(settings, vault, begun, keys)


@step("put the new key into use", run_name="set secret {begun.secret}")
def switch_secret(begun: KeysBegun, new: NewKey) -> Switched:
    """Another version of the account's secret: from here on whoever reads it has the new key. Both keys work."""
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        current = vault.version(begun.secret)
        if holds(current, new):
            return Switched(version=current.version)
        require_unchanged(begun, current, begun.version)
        replaced = next((each.id for each in begun.old if each.version == begun.version), "")
        tags = {**current.tags, KEY_ID: new.id, OPERATION: mark(), REPLACES: replaced}
        secret = vault.version(new.secret, new.version).value
        return Switched(version=vault.put(begun.secret, secret, tags, _expiry()).version)


def _expiry() -> datetime:
    return datetime.now(UTC) + timedelta(days=LIFE_DAYS)
