"""Keys and secrets of the vault that are not as the policy wants them are named."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from azure.keyvault.keys import KeyClient, KeyRotationLifetimeAction, KeyRotationPolicy, KeyRotationPolicyAction
from azure.keyvault.secrets import SecretClient

from tests.integration.audit_ground import TENANTS
from tests.integration.fresh_database import changed

pytestmark = pytest.mark.without_search


def later(vault, **ahead):
    """The vault's facts as an audit of another day would have read them."""
    return vault.model_copy(update={"read_at": vault.read_at + timedelta(**ahead)})


def test_a_disabled_key_is_named_and_so_are_the_wraps_that_nobody_can_open(shared):
    with shared.vault.client(KeyClient) as keys:
        newest = keys.get_key("tenants").properties.version
        keys.update_key_properties("tenants", newest, enabled=False)
        try:
            found = shared.found("vault")
        finally:
            keys.update_key_properties("tenants", newest, enabled=True)
    assert set(found) == {f"key-disabled:tenants/{newest}", f"wraps-unopenable:tenants/{newest}"}
    assert "2 wraps of 2 tenants" in found[f"wraps-unopenable:tenants/{newest}"].seen


def test_an_old_key_is_named_on_the_day_it_gets_too_old(shared):
    vault = shared.clean.vault
    assert "key-too-old:tenants" not in shared.found(vault=later(vault, days=39, hours=23))
    assert "key-too-old:tenants" in shared.found(vault=later(vault, days=40, hours=1))


def with_rule(policy, **changes):
    """*policy* with another rule for the key that wraps tenants' keys."""
    rule, *others = policy.key
    return policy.model_copy(update={"key": (rule.model_copy(update=changes), *others)})


def test_a_key_without_expiry_is_named_where_the_policy_wants_one(shared):
    wanting = with_rule(shared.policy, must_expire=True)
    assert set(shared.found(policy=wanting)) == {"key-never-expires:tenants"}


@contextmanager
def another_kek(ground, name):
    """The ground with *name* as the key that wraps tenants' keys, which is made in the block; and a client of keys."""
    kek = changed(ground.settings, "keyring", kek=name)
    with ground.vault.client(KeyClient) as keys:
        try:
            yield (
                dataclasses.replace(
                    ground, settings=kek, policy=with_rule(ground.policy, name=name, enabled_versions=2)
                ),
                keys,
            )
        finally:
            keys.begin_delete_key(name).wait()


def without(found, *ids):
    """The ids of *found*, less what the other key brings along."""
    return set(found) - {"key-unlisted:tenants", *ids}


def test_versions_beyond_those_in_use_are_named_and_keys_not_under_the_newest(shared):
    with another_kek(shared, "newer") as (ground, keys):
        for _ in range(3):
            newest = keys.create_rsa_key("newer", size=3072, key_operations=["wrapKey", "unwrapKey"])
        found = ground.found("vault", "keyring")
        a_day_later = later(ground.read("vault", ground.policy, ""), hours=25)
        lacking = ground.found("keyring", vault=a_day_later)
    # Which of three is the oldest, dates of whole seconds do not tell; which is the newest, the vault does.
    (extra,) = without(found)
    assert extra.startswith("key-version-extra:newer/")
    assert newest.properties.version not in extra
    assert without(lacking, extra) == set()
    ground = dataclasses.replace(ground, clean=dataclasses.replace(ground.clean, vault=a_day_later))
    assert without(ground.found("keyring"), extra) == {f"generation-not-rewrapped:{tenant}/1" for tenant in TENANTS}


def test_a_key_of_another_kind_with_other_operations_and_rotating_itself_is_named(shared):
    rotating = KeyRotationPolicy(
        lifetime_actions=[KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P30D")]
    )
    with another_kek(shared, "odd") as (ground, keys):
        newest = keys.create_rsa_key("odd", size=2048).properties.version
        keys.update_key_rotation_policy("odd", rotating)
        found = ground.found("vault")
    assert set(found) == {
        f"key-kind:odd/{newest}",
        f"key-operations:odd/{newest}",
        "key-rotates-itself:odd",
        "key-unlisted:tenants",
    }


def test_a_key_that_was_deleted_is_missed(shared):
    with shared.vault.client(KeyClient) as keys:
        keys.begin_delete_key("evidence").wait()
        try:
            found = shared.found("vault")
        finally:
            keys.begin_recover_deleted_key("evidence").wait()
    assert set(found) == {"key-missing:evidence"}


def test_secrets_are_named_when_they_are_about_to_expire_have_expired_or_never_do(shared):
    now = datetime.now(UTC)
    ends = {"provider-soon": now + timedelta(days=3), "provider-over": now - timedelta(days=1), "provider-never": None}
    with shared.vault.client(SecretClient) as secrets:
        for name, end in ends.items():
            secrets.set_secret(name, "sk-not-a-real-one", expires_on=end)
        secrets.set_secret("provider-off", "sk-not-a-real-one", expires_on=now + timedelta(days=60), enabled=False)
        try:
            facts = shared.read("vault", shared.policy, "")
        finally:
            for name in (*ends, "provider-off"):
                secrets.begin_delete_secret(name).wait()
    assert set(shared.found(vault=facts)) == {
        "secret-expires-soon:provider-soon",
        "secret-expired:provider-over",
        "secret-never-expires:provider-never",
        "secret-disabled:provider-off",
    }
    assert "sk-not-a-real-one" not in facts.model_dump_json()


def test_a_secret_that_no_rule_covers_or_that_nobody_renewed_is_named(shared):
    providers_only = shared.policy.model_copy(update={"secret": shared.policy.secret[:1]})
    assert set(shared.found(policy=providers_only)) == {"secret-unlisted:postgres"}
    assert "secret-too-old:postgres" in shared.found(vault=later(shared.clean.vault, days=367))
