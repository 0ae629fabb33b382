"""A key's changes, its lists, and its deletion, recovery and backup."""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import JsonWebKey, KeyClient

from tests.testbed.keyvault.ground import NewVault
from tests.testbed.keyvault.key_clients import error_code, in_whole_seconds, open_keys

pytestmark = pytest.mark.without_search


def test_attributes_operations_and_tags_of_a_key_change_and_its_material_does_not(keys, unused_name):
    made = keys.create_rsa_key(unused_name)
    starts, ends = in_whole_seconds(minutes=-1), in_whole_seconds(days=1)
    changes = {"not_before": starts, "expires_on": ends, "tags": {"a": "1"}, "key_operations": ["sign"]}
    changed = keys.update_key_properties(unused_name, enabled=False, **changes)
    for key in (changed, keys.get_key(unused_name)):
        assert (key.id, key.key.n, key.key_operations) == (made.id, made.key.n, ["sign"])
        assert (key.properties.enabled, key.properties.not_before, key.properties.expires_on) == (False, starts, ends)
        assert key.properties.tags == {"a": "1"}
    kept = keys.update_key_properties(unused_name, enabled=True)
    assert (kept.properties.expires_on, kept.properties.tags, kept.key_operations) == (ends, {"a": "1"}, ["sign"])
    assert keys.update_key_properties(unused_name, tags={}).properties.tags == {}


def test_an_old_version_changes_alone(keys, unused_name):
    old, new = keys.create_ec_key(unused_name), keys.create_ec_key(unused_name)
    keys.update_key_properties(unused_name, old.properties.version, enabled=False)
    assert keys.get_key(unused_name, old.properties.version).properties.enabled is False
    assert keys.get_key(unused_name).properties.enabled is True
    assert keys.get_key(unused_name).id == new.id


def test_more_keys_than_a_page_holds_are_listed_once_each_under_the_key_s_own_identifier(new_vault: NewVault):
    names = {f"key-{number:02}" for number in range(30)}
    with new_vault(limits_factor=100) as vault, open_keys(vault, "sync") as keys:
        for name in names:
            keys.create_ec_key(name, tags={"n": name})
        keys.delete("key-00")
        with open_keys(vault, "aio") as async_keys:
            for each in (keys, async_keys):
                listed = each.list_properties_of_keys()
                assert [key.name for key in listed] == sorted(names - {"key-00"})
                assert all((key.id, key.version) == (f"{vault.url}/keys/{key.name}", None) for key in listed)
                assert listed[0].tags == {"n": "key-01"}
                assert [key.name for key in each.list_deleted_keys()] == ["key-00"]
        with vault.client(KeyClient) as client:
            assert [len(list(page)) for page in client.list_properties_of_keys().by_page()] == [25, 4]
            assert [len(list(page)) for page in client.list_properties_of_keys(max_page_size=10).by_page()] == [
                10,
                10,
                9,
            ]


def test_more_versions_than_a_page_holds_are_listed_once_each(keys, unused_name):
    made = {keys.create_key(unused_name, "oct").properties.version for _ in range(28)}
    listed = keys.list_properties_of_key_versions(unused_name)
    assert len(listed) == 28
    assert {properties.version for properties in listed} == made
    assert keys.list_properties_of_key_versions(f"{unused_name}-other") == []


def test_a_deleted_key_is_gone_until_it_is_recovered_with_all_its_versions(keys, vault, unused_name):
    old, new = keys.create_ec_key(unused_name), keys.create_ec_key(unused_name)
    deleted = keys.delete(unused_name)
    assert (deleted.name, deleted.id) == (unused_name, new.id)
    assert deleted.recovery_id == f"{vault.url}/deletedkeys/{unused_name}"
    assert deleted.scheduled_purge_date - deleted.deleted_date == timedelta(days=90)
    read = keys.get_deleted_key(unused_name)
    assert (read.id, read.key.x, read.recovery_id) == (new.id, new.key.x, deleted.recovery_id)
    for call in (keys.get_key, keys.rotate_key, keys.backup_key, keys.get_key_rotation_policy):
        with pytest.raises(ResourceNotFoundError):
            call(unused_name)
    for call in (keys.create_ec_key, lambda name: keys.import_key(name, JsonWebKey(kty="oct", k=bytes(32)))):
        with pytest.raises(ResourceExistsError) as refused:
            call(unused_name)
        assert error_code(refused.value) == (409, "Conflict")
        assert refused.value.error.innererror["code"] == "ObjectIsDeletedButRecoverable"
    assert keys.recover(unused_name).id == new.id
    assert keys.get_key(unused_name, old.properties.version).key.x == old.key.x
    with pytest.raises(ResourceNotFoundError):
        keys.get_deleted_key(unused_name)


def test_a_purged_key_is_gone_for_good_and_its_name_is_free(keys, unused_name):
    made = keys.create_ec_key(unused_name)
    keys.delete(unused_name)
    keys.purge_deleted_key(unused_name)
    for call in (keys.get_deleted_key, keys.purge_deleted_key, keys.get_key):
        with pytest.raises(ResourceNotFoundError):
            call(unused_name)
    assert keys.create_ec_key(unused_name).id != made.id
    with pytest.raises(ResourceNotFoundError):
        keys.get_key(unused_name, made.properties.version)


def test_a_backup_restores_every_version_in_another_vault_of_the_same_seal(new_vault, tmp_path, unused_name):
    seal = str(tmp_path / "seal.key")
    with (
        new_vault(seal_file=seal) as here,
        new_vault(seal_file=seal) as there,
        new_vault() as foreign,
        open_keys(here, "sync") as keys,
        open_keys(there, "aio") as theirs,
        open_keys(foreign, "sync") as others,
    ):
        old = keys.create_rsa_key(unused_name, tags={"age": "old"})
        wrapped = keys.crypto(old.id, "wrapper").wrap_key("RSA-OAEP-256", b"a data key").encrypted_key
        new = keys.create_ec_key(unused_name, expires_on=in_whole_seconds(days=3))
        policy = keys.get_key_rotation_policy(unused_name)
        keys.update_key_rotation_policy(unused_name, policy, expires_in="P90D")
        backup = keys.backup_key(unused_name)
        with pytest.raises(ResourceExistsError):
            keys.restore_key_backup(backup)
        with pytest.raises(HttpResponseError) as refused:
            others.restore_key_backup(backup)
        assert error_code(refused.value) == (400, "BadParameter")

        restored = theirs.restore_key_backup(backup)
        assert (restored.properties.version, restored.key.x) == (new.properties.version, new.key.x)
        assert restored.properties.expires_on == new.properties.expires_on
        assert theirs.get_key_rotation_policy(unused_name).expires_in == "P90D"
        back = theirs.get_key(unused_name, old.properties.version)
        assert (back.key.n, back.properties.tags) == (old.key.n, {"age": "old"})
        assert back.properties.created_on == old.properties.created_on
        assert theirs.crypto(back.id, "wrapper").unwrap_key("RSA-OAEP-256", wrapped).key == b"a data key"


def test_a_backup_that_was_touched_is_refused(keys, unused_name):
    keys.create_ec_key(unused_name)
    backup = keys.backup_key(unused_name)
    assert b"jwk" not in backup
    keys.delete(unused_name)
    keys.purge_deleted_key(unused_name)
    for damaged in (backup[:-1], bytes([*backup[:-1], backup[-1] ^ 1]), b"", b"{}"):
        with pytest.raises(HttpResponseError) as refused:
            keys.restore_key_backup(damaged)
        assert error_code(refused.value) == (400, "BadParameter")
    assert keys.restore_key_backup(backup).name == unused_name
