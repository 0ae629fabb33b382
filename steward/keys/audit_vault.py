"""The vault's keys and secrets, held against the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from steward.keys.audit_facts import Key, Secret, Shape, VaultFacts, Version
from steward.keys.audit_findings import Finding, age, listed
from steward.keys.audit_policy import Expiry, KeyPolicy, KeyRule

_RENEWAL = {
    "key": "run monthly-key-rotation",
    "secret": "have its provider issue a new one, and set a new version with its expiry",
}


def check_vault(policy: KeyPolicy, facts: VaultFacts) -> list[Finding]:
    """Findings on every key that is there or ought to be, and on every secret."""
    return [*_keys(policy, facts), *_secrets(policy, facts)]


def _keys(policy: KeyPolicy, facts: VaultFacts) -> Iterator[Finding]:
    there = {key.name: key for key in facts.listed_keys}
    rules = {rule.name: rule for rule in policy.key}
    if facts.kek not in rules:
        yield Finding(
            check="key-without-rule",
            subject=facts.kek,
            seen="the key that wraps tenants' keys, and no rule for it",
            expected="a [[key]] of that name in the policy",
            hint="keyring.kek in the settings names it; which of the two is wrong?",
        )
    for name in sorted(there.keys() - rules.keys() - {facts.kek}):
        yield Finding(
            check="key-unlisted",
            subject=name,
            seen=f"a key with {len(there[name].versions)} versions",
            expected=f"only {listed(rules)}",
            hint="find who made it, in the vault's own log (KeyCreate, KeyImport); then list it or delete it",
        )
    for rule in policy.key:
        yield from _key(rule, there.get(rule.name), facts.read_at)


def _key(rule: KeyRule, key: Key | None, now: datetime) -> Iterator[Finding]:
    if key is None or not key.versions:
        yield Finding(
            check="key-missing",
            subject=rule.name,
            seen="no such key",
            expected=f"{rule.type} {rule.size}",
            hint="deleted? `az keyvault key recover` brings it back while the vault keeps deleted keys",
        )
        return
    newest = key.versions[0]
    if not newest.enabled:
        yield Finding(
            check="key-disabled",
            subject=f"{rule.name}/{newest.version}",
            seen="the newest version is disabled: nothing new can be wrapped or signed",
            expected="enabled",
            hint="find who disabled it and why, in the vault's own log (KeyUpdate)",
        )
    yield from _shape(rule, newest, key.shape)
    yield from _ages("key", rule.name, rule, newest, now)
    yield from _older(rule, key.versions)
    if key.rotates_itself and not rule.automatic_rotation:
        yield Finding(
            check="key-rotates-itself",
            subject=rule.name,
            seen="a rotation policy with the action Rotate",
            expected="no version that no operation made",
            hint="take the action out of the key's rotation policy, or allow automatic_rotation",
        )


def _shape(rule: KeyRule, newest: Version, shape: Shape | None) -> Iterator[Finding]:
    wanted = Shape(type=rule.type, size=rule.size, operations=tuple(sorted(rule.operations)))
    if shape is None or (shape.type, shape.size) != (wanted.type, wanted.size):
        yield Finding(
            check="key-kind",
            subject=f"{rule.name}/{newest.version}",
            seen=f"{shape.type} {shape.size}" if shape else "a key of unknown kind",
            expected=f"{wanted.type} {wanted.size}",
            hint="make a version of the expected kind; keys under this one are rewrapped by the next rotation",
        )
    if shape and set(shape.operations) != set(wanted.operations):
        yield Finding(
            check="key-operations",
            subject=f"{rule.name}/{newest.version}",
            seen=f"it permits {listed(shape.operations)}",
            expected=listed(wanted.operations),
            hint=f"az keyvault key set-attributes --ops {' '.join(sorted(rule.operations))}",
        )


def _older(rule: KeyRule, versions: Sequence[Version]) -> Iterator[Finding]:
    enabled = [each for each in versions if each.enabled]
    for extra in enabled[rule.enabled_versions :]:
        yield Finding(
            check="key-version-extra",
            subject=f"{rule.name}/{extra.version}",
            seen=f"enabled, with {len(enabled) - 1} others",
            expected=f"at most {rule.enabled_versions} enabled versions",
            hint="disable it once nothing is wrapped under it any more: SELECT kek, count(*) FROM keyring.wraps GROUP BY 1",
        )


def _secrets(policy: KeyPolicy, facts: VaultFacts) -> Iterator[Finding]:
    for secret in facts.secrets:
        rule = policy.rule_of(secret.name)
        if rule is None:
            yield Finding(
                check="secret-unlisted",
                subject=secret.name,
                seen="a secret that no rule covers",
                expected="a [[secret]] whose pattern fits its name",
                hint="find who set it, in the vault's own log (SecretSet); then add a rule or delete it",
            )
        else:
            yield from _secret(secret, rule, facts.read_at)


def _secret(secret: Secret, rule: Expiry, now: datetime) -> Iterator[Finding]:
    newest = secret.versions[0]
    if not newest.enabled:
        yield Finding(
            check="secret-disabled",
            subject=secret.name,
            seen="its newest version is disabled: nobody can read it",
            expected="enabled, or deleted",
            hint="delete it if nothing needs it any more",
        )
        return
    yield from _ages("secret", secret.name, rule, newest, now)


def _ages(what: str, name: str, rule: Expiry, newest: Version, now: datetime) -> Iterator[Finding]:
    made = newest.created_at
    if made is None or now - made > timedelta(days=rule.newest_days):
        yield Finding(
            check=f"{what}-too-old",
            subject=name,
            seen=f"newest version made {age(now - made)} ago" if made else "no date of making",
            expected=f"at most {rule.newest_days} days",
            hint=_RENEWAL[what],
        )
    if newest.not_before and newest.not_before > now:
        yield Finding(
            check=f"{what}-not-yet-valid",
            subject=name,
            seen=f"newest version not valid before {newest.not_before:%Y-%m-%d %H:%M} UTC",
            expected="a version that can be used",
            hint="see its attribute nbf, and the vault's log (KeyUpdate, SecretUpdate)",
        )
    if newest.expires_at is None and rule.must_expire:
        yield Finding(
            check=f"{what}-never-expires",
            subject=name,
            seen="no expiry date",
            expected=f"one, within {rule.newest_days} days of its making",
            hint=f"set one: az keyvault {what} set-attributes --expires …",
        )
    if newest.expires_at and newest.expires_at - now <= timedelta(days=rule.warn_days):
        yield _ending(what, name, rule, newest.expires_at - now)


def _ending(what: str, name: str, rule: Expiry, left: timedelta) -> Finding:
    over = left <= timedelta(0)
    return Finding(
        check=f"{what}-expired" if over else f"{what}-expires-soon",
        subject=name,
        seen=f"expired {age(-left)} ago" if over else f"expires in {age(left)}",
        expected=f"at least {rule.warn_days} days ahead",
        hint=_RENEWAL[what],
    )
