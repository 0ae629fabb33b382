"""The steps of giving an account at a provider another key: before anybody uses it, and when the old one goes.

No secret goes in or out of a step: a step reads it from the vault where it is used, and tells ids, versions and fingerprints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from steward.ai.key_rotation import (
    KEY_ID,
    OPERATION,
    REPLACES,
    KeysBegun,
    NewKey,
    OldKey,
    Proof,
    Switched,
    VersionSeen,
    old_keys,
    strays,
    used_keys,
)
from steward.ai.key_rotation_errors import NotRotatable, SecretChangedMeanwhile
from steward.ai.keys import LIFE_DAYS, prefix_of, version_of
from steward.clients.attempts_keys import (
    clock,
    installation,
    lagging_workers,
    living_workers,
    meanwhile,
    open_attempts,
)
from steward.clients.attempts_sweeping import resolve_unknown
from steward.clients.keyvault_secret_versions import SecretVersion, VersionedSecrets, open_secret_versions
from steward.clients.postgres import connect
from steward.clients.provider_keys import ProviderKeys, open_openai_keys, open_provider_keys, takes
from steward.operations.holding import guard
from steward.operations.steps import Kind, current_step
from steward.settings import Provider, Settings, load
from tasks.durable import operation, step
from tasks.provider_key_pool import give_back, mark_in_use, require_pool, take_from_pool

#: How long a provider may take until it knows a key that was made, and until it has forgotten one everywhere.
KNOWN_SECONDS = 30.0
GONE_SECONDS = 60.0
POLL_SECONDS = 1.0


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
            return take_from_pool(vault, begun, _mark(), keys.all())


def _made(settings: Settings, vault: VersionedSecrets, begun: KeysBegun) -> NewKey:
    mark = _mark()
    waiting = {name: tags for name, tags in vault.names().items() if name.startswith(_next(begun))}
    with open_openai_keys(settings, begun.account, guard) as keys:
        owners = {each.id: each.owner for each in keys.all()}
        for name, tags in waiting.items():
            if tags.get(OPERATION) == mark and (key := tags.get(KEY_ID, "")) in owners:
                found = vault.version(name)
                return _new(key, owners[key], found)
        _clear(settings, vault, begun, keys, list(waiting))
        # What one try names, no other names again: a call of a try that died may still arrive.
        once = f"{operation().token}-{current_step().tries}"
        made = keys.make(f"{_prefix(settings, begun)}{once}")
        put = vault.put(f"{_next(begun)}{once}", made.secret, {KEY_ID: made.key_id, OPERATION: mark}, _expiry())
        return _new(made.key_id, made.owner, put)


def _new(key: str, owner: str, at: SecretVersion) -> NewKey:
    return NewKey(id=key, owner=owner, secret=at.name, version=at.version, fingerprint=version_of(at.value))


def _clear(
    settings: Settings, vault: VersionedSecrets, begun: KeysBegun, keys: ProviderKeys, waiting: Sequence[str]
) -> None:
    """Keys that no version of the account's secret ever held, and secrets of theirs: of tries that died."""
    for stray in strays(keys.all(), _prefix(settings, begun), vault.listed(begun.secret)):
        keys.revoke(OldKey(id=stray.id, owner=stray.owner))
    for name in waiting:
        vault.put_away(name)


@step("probe the new key", run_name="whether {begun.account} takes the new key")
def probe_new_key(begun: KeysBegun, new: NewKey) -> bool:
    """Asked for the models, which costs nothing, for as long as a provider may take to know a key."""
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        secret = vault.version(new.secret, new.version).value
    return _waited(lambda: takes(settings.providers[begun.account], secret), KNOWN_SECONDS)


@step("discard the new key", run_name="discard the new key of {begun.account}", kind=Kind.UNDO)
def discard_new_key(begun: KeysBegun, *, refused: bool) -> None:
    """Nothing is left of it: a key that was made is deleted, one of the pool is put back, or marked as refused."""
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        if begun.kind == "anthropic":
            give_back(vault, begun.account, _mark(), refused=refused)
            return
        with open_openai_keys(settings, begun.account, guard) as keys:
            waiting = [name for name in vault.names() if name.startswith(_next(begun))]
            _clear(settings, vault, begun, keys, waiting)


@step("put the new key into use", run_name="set secret {begun.secret}")
def switch_secret(begun: KeysBegun, new: NewKey) -> Switched:
    """Another version of the account's secret: from here on whoever reads it has the new key. Both keys work."""
    settings = load()
    with open_secret_versions(settings, guard) as vault:
        current = vault.version(begun.secret)
        if (current.tags.get(OPERATION), current.tags.get(KEY_ID)) == (_mark(), new.id):
            return Switched(version=current.version)
        _require_unchanged(begun, current, begun.version)
        replaced = next((each.id for each in begun.old if each.version == begun.version), "")
        tags = {**current.tags, KEY_ID: new.id, OPERATION: _mark(), REPLACES: replaced}
        secret = vault.version(new.secret, new.version).value
        return Switched(version=vault.put(begun.secret, secret, tags, _expiry()).version)


@step("await workers", run_name="wait until all workers use the new key of {begun.account}")
def await_workers(begun: KeysBegun, new: NewKey, wait_seconds: float) -> tuple[str, ...]:
    """Those that do not tell of it after *wait_seconds*: none is what is hoped for."""
    seen: tuple[str, ...] = ()

    def none_lags() -> bool:
        nonlocal seen
        with connect(load()) as db:
            seen = lagging_workers(db, begun.account, new.fingerprint)
        return not seen

    _waited(none_lags, wait_seconds)
    return seen


@step("await attempts", run_name="wait until attempts under the old key of {begun.account} are over")
def await_attempts(begun: KeysBegun, new: NewKey, wait_seconds: float) -> int:
    """How many are under way after *wait_seconds*. Those of dead workers are `unknown`, and over."""
    seen = 0

    def all_over() -> bool:
        nonlocal seen
        settings = load()
        resolve_unknown(settings)
        with connect(settings) as db:
            seen = open_attempts(db, begun.account, new.fingerprint)
        return not seen

    _waited(all_over, wait_seconds)
    return seen


@step("revoke the old key", run_name="revoke the old key of {begun.account}")
def revoke_old_keys(begun: KeysBegun, new: NewKey) -> tuple[str, ...]:
    """By their ids at the provider. Twice is the same as once."""
    going = [each for each in begun.old if each.id != new.id]
    with open_provider_keys(load(), begun.account, guard) as keys:
        for each in going:
            keys.revoke(each)
    return tuple(each.id for each in going)


@step("prove the rotation", run_name="prove that {begun.account} has another key")
def prove_rotation(begun: KeysBegun, new: NewKey, switched: Switched) -> Proof:
    """The provider refuses what was revoked and takes what the vault gives; workers and ledger know of nothing else."""
    settings = load()
    provider, left = settings.providers[begun.account], dict[str, str]()
    with open_secret_versions(settings, guard) as vault, open_provider_keys(settings, begun.account, guard) as keys:
        current = vault.version(begun.secret)
        _require_unchanged(begun, current, switched.version)
        for each in begun.old:
            left[each.id] = vault.version(begun.secret, each.version).value if each.version else ""

        def all_gone() -> bool:
            active = {each.id for each in keys.all() if each.is_active}
            for key, secret in list(left.items()):
                if key not in active and not (secret and takes(provider, secret)):
                    del left[key]
            return not left

        _waited(all_gone, GONE_SECONDS)
        answers = takes(provider, current.value)
    with connect(settings) as db:
        seen = meanwhile(db, begun.account, begun.started_at, begun.fingerprint if begun.was_refused else "")
        return Proof(
            still_answer=tuple(left),
            new_answers=answers,
            lagging=lagging_workers(db, begun.account, new.fingerprint),
            refused_attempts=seen.refused,
            attempts=seen.attempts,
        )


@step("tidy up", run_name="put away what the new key of {begun.account} was made with")
def tidy_up(begun: KeysBegun, new: NewKey) -> None:
    """The old key's versions are disabled, the new one lies in one place, and no try's key is left at the provider."""
    settings = load()
    with open_secret_versions(settings, guard) as vault, open_provider_keys(settings, begun.account, guard) as keys:
        for each in begun.old:
            keys.put_away(each.id)
            if each.version:
                vault.disable(begun.secret, each.version)
        if begun.kind == "anthropic":
            mark_in_use(vault, begun.account, new.secret)
            return
        waiting = [name for name in vault.names() if name.startswith(_next(begun))]
        _clear(settings, vault, begun, keys, waiting)


def _require_unchanged(begun: KeysBegun, current: SecretVersion, expected: str) -> None:
    if current.version != expected:
        raise SecretChangedMeanwhile(
            f"secret {begun.secret} has version {current.version} now, expected {expected}: somebody else set it",
            hint="see the vault's own log (SecretSet); then run this again: it takes the newest version for the key in use",
        )


def _mark() -> str:
    """By what this operation knows what it made again: its own in every attempt, another's in every other round."""
    return f"{operation().id}/{operation().round}"


def _prefix(settings: Settings, begun: KeysBegun) -> str:
    with connect(settings) as db:
        return prefix_of(installation(db), begun.account)


def _next(begun: KeysBegun) -> str:
    return f"{begun.secret}-next-"


def _expiry() -> datetime:
    return datetime.now(UTC) + timedelta(days=LIFE_DAYS)


def _waited(happened: Callable[[], bool], seconds: float) -> bool:
    """Whether it happened within *seconds*; it is asked once at least."""
    give_up = time.monotonic() + seconds
    while not (has := happened()) and time.monotonic() < give_up:
        time.sleep(min(POLL_SECONDS, max(0.0, give_up - time.monotonic())))
    return has
