"""The steps by which an account's old key goes: nobody uses it, it is revoked, and that is proved."""

from __future__ import annotations

from steward.ai.key_rotation import KeysBegun, NewKey, Proof, Switched
from steward.clients.attempts_keys import lagging_workers, meanwhile, open_attempts
from steward.clients.attempts_sweeping import resolve_unknown
from steward.clients.keyvault_secret_versions import open_secret_versions
from steward.clients.postgres import connect
from steward.clients.provider_keys import open_provider_keys, takes
from steward.operations.holding import guard
from steward.settings import load
from tasks.durable import step
from tasks.provider_key_pool import mark_in_use
from tasks.provider_key_tries import clear_tries, holds, require_unchanged
from tasks.waiting import waited

#: How long a provider may take until it has forgotten a key everywhere.
GONE_SECONDS = 60.0


@step("await workers", run_name="wait until all workers use the new key of {begun.account}")
def await_workers(begun: KeysBegun, new: NewKey, wait_seconds: float) -> tuple[str, ...]:
    """Those that do not tell of it after *wait_seconds*: none is what is hoped for."""
    seen: tuple[str, ...] = ()

    def none_lags() -> bool:
        nonlocal seen
        with connect(load()) as db:
            seen = lagging_workers(db, begun.account, new.fingerprint)
        return not seen

    waited(none_lags, wait_seconds)
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

    waited(all_over, wait_seconds)
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
        if not holds(current, new):
            # A call of a try that died may have set the same key once more: that is no change.
            require_unchanged(begun, current, switched.version)
        for each in begun.old:
            left[each.id] = vault.version(begun.secret, each.version).value if each.version else ""

        def all_gone() -> bool:
            active = {each.id for each in keys.all() if each.is_active}
            for key, secret in list(left.items()):
                if key not in active and not (secret and takes(provider, secret)):
                    del left[key]
            return not left

        waited(all_gone, GONE_SECONDS)
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
        clear_tries(settings, vault, begun, keys)
