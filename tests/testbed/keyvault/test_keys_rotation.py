"""New versions by rotation: asked for and due, under policies that hold to the contract's rules."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyRotationLifetimeAction, KeyRotationPolicy, KeyRotationPolicyAction
from azure.keyvault.keys.crypto import KeyWrapAlgorithm

from replica.keyvault.records import Kind, Version
from replica.keyvault.store import Store
from tests.testbed.keyvault.ground import TestVault
from tests.testbed.keyvault.key_clients import Keys, open_keys

pytestmark = pytest.mark.without_search

NOTIFY = ("Notify", None, "P30D")


def rotate_after(after_create: str | None = None, before_expiry: str | None = None) -> KeyRotationLifetimeAction:
    return KeyRotationLifetimeAction(
        KeyRotationPolicyAction.rotate, time_after_create=after_create, time_before_expiry=before_expiry
    )


def set_policy(keys: Keys, name: str, *actions: KeyRotationLifetimeAction, expires_in: str | None = None):
    policy = KeyRotationPolicy(lifetime_actions=list(actions), expires_in=expires_in)
    return keys.update_key_rotation_policy(name, policy)


def shown(policy: KeyRotationPolicy) -> list[tuple[str, str | None, str | None]]:
    return [(str(a.action.value), a.time_after_create, a.time_before_expiry) for a in policy.lifetime_actions]


def versions(keys: Keys, name: str) -> set[str]:
    return {properties.version for properties in keys.list_properties_of_key_versions(name)}


def age(vault: TestVault, name: str, days: int) -> None:
    """Let all that happened to the key have happened *days* earlier: put back in the store under earlier times."""
    with closing(Store(vault.folder / "vault" / "vault.db")) as store, store.writing(Kind.KEY) as keys:
        history = keys.history(name)
        keys.delete(name, 90)
        keys.purge(name)
        keys.restore(replace(history, versions=tuple(aged(version, days * 86_400) for version in history.versions)))


def aged(version: Version, seconds: int) -> Version:
    attributes = version.attributes
    expires = None if attributes.expires is None else attributes.expires - seconds
    content = replace(version.content, attributes=replace(attributes, expires=expires))
    return replace(version, content=content, created=version.created - seconds, updated=version.updated - seconds)


@pytest.mark.parametrize(
    ("kind", "options"), [("RSA-HSM", {"size": 3072}), ("EC", {"curve": "P-384"}), ("oct", {"size": 192})]
)
def test_a_rotated_key_is_of_the_same_kind_with_the_same_operations_and_tags(keys, unused_name, kind, options):
    operations = ["sign", "verify"] if kind == "EC" else ["wrapKey", "unwrapKey"]
    old = keys.create_key(unused_name, kind, key_operations=operations, tags={"tenant": "acme"}, **options)
    new = keys.rotate_key(unused_name)
    assert new.id != old.id
    assert (new.key_type, new.key.crv, new.key_operations) == (old.key_type, old.key.crv, operations)
    assert (new.properties.tags, new.properties.enabled) == ({"tenant": "acme"}, True)
    assert len(new.key.n or b"") == len(old.key.n or b"")
    assert keys.get_key(unused_name).id == new.id
    assert versions(keys, unused_name) == {old.properties.version, new.properties.version}
    if kind != "oct":
        assert (new.key.n, new.key.x) != (old.key.n, old.key.x)


def test_a_rotated_rsa_key_keeps_its_public_exponent(keys, unused_name):
    keys.create_rsa_key(unused_name, public_exponent=3)
    assert keys.rotate_key(unused_name).key.e == b"\x03"


def test_what_the_old_version_wrapped_it_unwraps_after_a_rotation_and_the_new_one_does_not(keys, unused_name):
    old = keys.create_rsa_key(unused_name, size=2048)
    algorithm = KeyWrapAlgorithm.rsa_oaep_256
    wrapped = keys.crypto(old).wrap_key(algorithm, b"a tenant's key").encrypted_key
    new = keys.rotate_key(unused_name)
    assert keys.crypto(old).unwrap_key(algorithm, wrapped).key == b"a tenant's key"
    with pytest.raises(HttpResponseError) as refused:
        keys.crypto(new).unwrap_key(algorithm, wrapped)
    assert refused.value.status_code == 400


def test_an_unknown_key_is_neither_rotated_nor_has_it_a_policy(keys, unused_name):
    for call in (keys.rotate_key, keys.get_key_rotation_policy, lambda name: set_policy(keys, name)):
        with pytest.raises(ResourceNotFoundError):
            call(unused_name)


def test_a_key_begins_with_the_default_policy_and_answers_the_one_it_was_given(keys, vault, unused_name):
    keys.create_ec_key(unused_name)
    before = keys.get_key_rotation_policy(unused_name)
    assert (shown(before), before.expires_in, before.created_on) == ([NOTIFY], None, None)
    after = set_policy(keys, unused_name, rotate_after("P2M"), expires_in="P1Y")
    for policy in (after, keys.get_key_rotation_policy(unused_name)):
        assert policy.id == f"{vault.url}/keys/{unused_name}/rotationpolicy"
        assert (shown(policy), policy.expires_in) == ([("Rotate", "P2M", None), NOTIFY], "P1Y")
        assert policy.created_on == policy.updated_on
    notify = KeyRotationLifetimeAction(KeyRotationPolicyAction.notify, time_before_expiry="P10D")
    assert shown(set_policy(keys, unused_name, notify)) == [("Notify", None, "P10D")]


@pytest.mark.parametrize(
    ("action", "expires_in"),
    [
        (rotate_after("P90D"), "P27D"),
        (rotate_after("P1D"), None),
        (rotate_after(before_expiry="P30D"), None),
        (rotate_after("P30D", "P30D"), "P90D"),
        (rotate_after("ninety days"), None),
        (KeyRotationLifetimeAction(KeyRotationPolicyAction.notify, time_after_create="P30D"), None),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused_and_the_one_before_stays(keys, unused_name, action, expires_in):
    keys.create_ec_key(unused_name)
    set_policy(keys, unused_name, rotate_after("P60D"))
    with pytest.raises(HttpResponseError) as refused:
        set_policy(keys, unused_name, action, expires_in=expires_in)
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")
    assert shown(keys.get_key_rotation_policy(unused_name)) == [("Rotate", "P60D", None), NOTIFY]


def test_a_rotation_gives_the_new_version_the_policy_s_expiry_and_leaves_the_old_one_s(keys, unused_name):
    keys.create_ec_key(unused_name)
    set_policy(keys, unused_name, expires_in="P90D")
    assert keys.create_ec_key(unused_name).properties.expires_on is None
    new = keys.rotate_key(unused_name)
    assert new.properties.expires_on - new.properties.created_on == timedelta(days=90)


@pytest.mark.parametrize(
    "ask",
    [
        lambda keys, name: keys.get_key(name),
        lambda keys, name: keys.list_properties_of_key_versions(name),
        lambda keys, name: keys.backup_key(name),
        lambda keys, name: keys.by("administrator")._target._client.wrap_key(
            name, "", {"alg": "RSA-OAEP-256", "value": "AAAA"}
        ),
    ],
    ids=["get", "versions", "backup", "wrap by the newest version"],
)
def test_a_due_key_has_rotated_when_its_newest_version_is_next_asked_for(vault, unused_name, ask):
    with open_keys(vault, "sync") as keys:
        old = keys.create_rsa_key(unused_name, tags={"a": "b"})
        set_policy(keys, unused_name, rotate_after("P30D"), expires_in="P90D")
        age(vault, unused_name, days=29)
        ask(keys, unused_name)
        assert versions(keys, unused_name) == {old.properties.version}
        age(vault, unused_name, days=2)
        ask(keys, unused_name)
        assert len(versions(keys, unused_name)) == 2
        new = keys.get_key(unused_name)
        assert (new.id != old.id, new.properties.tags) == (True, {"a": "b"})
        assert new.properties.expires_on - datetime.now(UTC) > timedelta(days=89)
        assert len(versions(keys, unused_name)) == 2


def test_a_key_rotates_a_time_before_its_newest_version_expires(vault, unused_name):
    with open_keys(vault, "sync") as keys:
        keys.create_ec_key(unused_name)
        set_policy(keys, unused_name, rotate_after(before_expiry="P10D"), expires_in="P90D")
        age(vault, unused_name, days=400)
        # The first version has no expiry, so nothing comes before it.
        assert len(versions(keys, unused_name)) == 1
        second = keys.rotate_key(unused_name)
        age(vault, unused_name, days=79)
        assert keys.get_key(unused_name).id == second.id
        age(vault, unused_name, days=2)
        assert keys.get_key(unused_name).id != second.id


def test_a_disabled_key_is_not_made_usable_again_by_its_policy(vault, unused_name):
    with open_keys(vault, "sync") as keys:
        made = keys.create_ec_key(unused_name)
        set_policy(keys, unused_name, rotate_after("P30D"))
        keys.update_key_properties(unused_name, enabled=False)
        age(vault, unused_name, days=40)
        assert keys.get_key(unused_name).id == made.id
        keys.update_key_properties(unused_name, enabled=True)
        assert keys.get_key(unused_name).id != made.id


def test_a_key_that_many_ask_for_at_once_rotates_once(vault, unused_name):
    with open_keys(vault, "aio") as keys:
        old = keys.create_rsa_key(unused_name)
        set_policy(keys, unused_name, rotate_after("P30D"))
        age(vault, unused_name, days=40)
        found = keys.at_once([("get_key", unused_name)] * 12)
        assert versions(keys, unused_name) == {old.properties.version, found[0].properties.version}
        assert len({key.id for key in found}) == 1
