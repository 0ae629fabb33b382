"""The keyring's rows, held against the policy, and against the vault's versions that they are wrapped under."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from steward.keys.audit_facts import KeyringFacts, VaultFacts, Version
from steward.keys.audit_findings import Finding, age, of_generations
from steward.keys.audit_policy import KeyPolicy


def check_keyring(policy: KeyPolicy, facts: KeyringFacts) -> list[Finding]:
    """Findings on generations that stayed too long in a state, on rules that were gone round, and on readers."""
    return [*_generations(policy, facts), *_readers(policy, facts)]


def _generations(policy: KeyPolicy, facts: KeyringFacts) -> Iterator[Finding]:
    bounds, now = policy.generations, facts.read_at
    yield from of_generations(
        facts.broken,
        now,
        check="generation-broken",
        told="breaks a rule of the keyring",
        expected="one current generation a tenant, a wrap for each living one, none for a destroyed or erased one",
        hint="triggers refuse this, so somebody went round them: compare with the newest backup before anything is written",
    )
    yield from of_generations(
        facts.too_old,
        now,
        check="generation-too-old",
        told="has been current",
        expected=f"at most {bounds.current_days} days",
        hint="run monthly-key-rotation; see why the last one left this tenant out",
    )
    yield from of_generations(
        facts.incoming_left,
        now,
        check="generation-incoming-left",
        told="has been incoming",
        expected=f"at most {bounds.incoming_hours} hours",
        hint="a rotation stopped before its writers switched: take it up again (docs/runbooks/stuck-operation.md)",
    )
    yield from of_generations(
        facts.previous_left,
        now,
        check="generation-previous-left",
        told="has been previous",
        expected=f"at most {bounds.previous_days} days",
        hint="rows are still under it, or nobody retired it: run monthly-key-rotation for this tenant",
    )
    yield from of_generations(
        facts.retired_left,
        now,
        check="generation-retired-left",
        told="has been retired",
        expected=f"destroyed within {bounds.retired_days} days",
        hint="the grace is over: the next rotation destroys it",
    )


def _readers(policy: KeyPolicy, facts: KeyringFacts) -> Iterator[Finding]:
    for reader in facts.lagging:
        yield Finding(
            check="reader-lagging",
            subject=f"{reader.host}/{reader.pid}",
            seen=f"still at epoch {reader.epoch} of {facts.epoch}, {age(facts.read_at - reader.behind_since)} after a change",
            expected=f"every change acknowledged within {policy.readers.lag_minutes} minutes",
            hint="it may use keys that were replaced: restart the process",
        )


def check_wraps(policy: KeyPolicy, facts: KeyringFacts, vault: VaultFacts) -> list[Finding]:
    """Findings on wraps that the vault cannot open, and on keys that are not yet under its newest version."""
    return [*_unopenable(facts, vault), *_not_rewrapped(policy, facts, vault)]


def _unopenable(facts: KeyringFacts, vault: VaultFacts) -> Iterator[Finding]:
    versions = {f"{key.name}/{each.version}": each for key in vault.listed_keys for each in key.versions}
    for wrap in facts.wraps:
        # The host is left out: a vault that was restored under another name still opens what it wrapped.
        named = "/".join(wrap.kek.rsplit("/", 2)[-2:])
        if problem := _problem(versions.get(named)):
            yield Finding(
                check="wraps-unopenable",
                subject=named,
                seen=f"{wrap.wraps} wraps of {wrap.tenants} tenants under {problem}",
                expected="every wrap under an enabled version of the vault",
                hint="enable or recover that version until nothing is under it: az keyvault key set-attributes --enabled true",
            )


def _problem(version: Version | None) -> str:
    if version is None:
        return "a version that the vault does not have"
    return "" if version.enabled else "a disabled version"


def _not_rewrapped(policy: KeyPolicy, facts: KeyringFacts, vault: VaultFacts) -> Iterator[Finding]:
    newest, hours = vault.newest_kek, policy.generations.rewrap_hours
    if newest is None or newest.created_at is None or vault.read_at - newest.created_at < timedelta(hours=hours):
        return
    yield from of_generations(
        facts.not_under_newest,
        facts.read_at,
        check="generation-not-rewrapped",
        told=f"is not wrapped under {vault.kek}/{newest.version}, and was made or moved on",
        expected=f"a wrap under the newest version within {hours} hours of its making",
        hint="run monthly-key-rotation; if nobody made that version, find who did in the vault's log (KeyCreate, KeyRotate)",
    )
