"""Every call of the contract about keys as objects, by the unchanged Azure SDK, sync and aio."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import JsonWebKey, KeyClient, KeyReleasePolicy
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.testbed.keyvault.conftest import NewVault, TestVault
from tests.testbed.keyvault.key_clients import Keys, open_keys

pytestmark = pytest.mark.without_search

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}
ALL_OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]


@pytest.fixture(scope="module", params=["sync", "aio"])
def keys(request: pytest.FixtureRequest, vault: TestVault) -> Generator[Keys]:
    with open_keys(vault, request.param) as opened:
        yield opened


def in_whole_seconds(**later: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**later)


def octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def rsa_jwk(private: rsa.RSAPrivateKey, **more: Any) -> JsonWebKey:
    numbers = private.private_numbers()
    return JsonWebKey(
        kty="RSA",
        n=octets(numbers.public_numbers.n),
        e=octets(numbers.public_numbers.e),
        d=octets(numbers.d),
        p=octets(numbers.p),
        q=octets(numbers.q),
        dp=octets(numbers.dmp1),
        dq=octets(numbers.dmq1),
        qi=octets(numbers.iqmp),
        **more,
    )


def error_code(error: HttpResponseError) -> tuple[int | None, str | None]:
    assert error.error is not None
    return error.status_code, error.error.code


# Create


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        ("RSA", {}, {"kty": "RSA", "bits": 2048, "key_ops": ALL_OPERATIONS}),
        ("RSA", {"size": 3072}, {"kty": "RSA", "bits": 3072, "key_ops": ALL_OPERATIONS}),
        ("RSA-HSM", {"size": 4096}, {"kty": "RSA-HSM", "bits": 4096, "key_ops": ALL_OPERATIONS}),
        ("EC", {}, {"kty": "EC", "crv": "P-256", "key_ops": ["sign", "verify"]}),
        ("EC", {"curve": "P-384"}, {"kty": "EC", "crv": "P-384", "key_ops": ["sign", "verify"]}),
        ("EC-HSM", {"curve": "P-521"}, {"kty": "EC-HSM", "crv": "P-521", "key_ops": ["sign", "verify"]}),
        ("EC", {"curve": "P-256K"}, {"kty": "EC", "crv": "P-256K", "key_ops": ["sign", "verify"]}),
        ("oct", {"size": 128}, {"kty": "oct", "key_ops": ALL_OPERATIONS}),
        ("oct-HSM", {}, {"kty": "oct-HSM", "key_ops": ALL_OPERATIONS}),
    ],
)
def test_a_key_of_each_kind_is_made_and_only_its_public_part_is_answered(keys, unused_name, kind, options, shown):
    made = keys.create_key(unused_name, kind, **options)
    read = keys.get_key(unused_name)
    for key in (made, read):
        assert (key.key_type, key.key_operations) == (shown["kty"], shown["key_ops"])
        assert key.key.crv == shown.get("crv")
        assert not any(getattr(key.key, member) for member in PRIVATE_MEMBERS)
    vault_url = made.properties.vault_url
    assert made.id == read.id == f"{vault_url}/keys/{unused_name}/{made.properties.version}"
    if "bits" in shown:
        assert (made.key.n, made.key.e) == (read.key.n, read.key.e)
        assert int.from_bytes(made.key.n).bit_length() == shown["bits"]
        assert int.from_bytes(made.key.e) == 65537
    assert (made.key.x, made.key.y) == (read.key.x, read.key.y)
    assert (read.properties.exportable, read.properties.hsm_platform) == (False, "0")


def test_a_key_keeps_what_it_was_made_with(keys, unused_name):
    starts, ends = in_whole_seconds(hours=-1), in_whole_seconds(days=30)
    made = keys.create_rsa_key(
        unused_name,
        size=2048,
        public_exponent=3,
        key_operations=["wrapKey", "unwrapKey"],
        enabled=False,
        not_before=starts,
        expires_on=ends,
        tags={"purpose": "tenants"},
    )
    read = keys.get_key(unused_name)
    for key in (made, read):
        properties = key.properties
        assert (properties.enabled, properties.not_before, properties.expires_on) == (False, starts, ends)
        assert (properties.tags, key.key_operations) == ({"purpose": "tenants"}, ["wrapKey", "unwrapKey"])
        assert (properties.recovery_level, properties.recoverable_days) == ("Recoverable+Purgeable", 90)
        assert properties.created_on == properties.updated_on >= in_whole_seconds(minutes=-1)
    assert int.from_bytes(read.key.e) == 3


def test_each_version_of_a_key_stays_readable_and_the_newest_is_the_key(keys, unused_name):
    first, second = keys.create_ec_key(unused_name), keys.create_rsa_key(unused_name)
    assert first.properties.version != second.properties.version
    assert keys.get_key(unused_name).id == second.id
    old = keys.get_key(unused_name, first.properties.version)
    assert (old.id, old.key.x, old.key_type) == (first.id, first.key.x, "EC")


def test_a_key_or_version_that_does_not_exist_is_not_found(keys, unused_name):
    with pytest.raises(ResourceNotFoundError) as refused:
        keys.get_key(unused_name)
    assert error_code(refused.value) == (404, "KeyNotFound")
    keys.create_ec_key(unused_name)
    for call in (keys.get_key, keys.update_key_properties):
        with pytest.raises(ResourceNotFoundError):
            call(unused_name, "0" * 32)
    with pytest.raises(HttpResponseError) as refused:
        keys.get_key("no_such.name")
    assert error_code(refused.value) == (400, "BadParameter")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kty": "RSA", "key_size": 1024},
        {"kty": "RSA", "key_size": "2048"},
        {"kty": "RSA", "key_size": True},
        {"kty": "RSA", "public_exponent": 2},
        {"kty": "DSA"},
        {"kty": 7},
        {"kty": "EC", "crv": "P-192"},
        {"kty": "EC", "crv": ["P-256"]},
        {"kty": "oct", "key_size": 512},
        {"kty": "EC", "key_ops": ["sign", "fly"]},
        {"kty": "EC", "key_ops": ["export"]},
        {"kty": "EC", "key_ops": "sign"},
        {"kty": "EC", "key_ops": [[]]},
        {"kty": "EC", "attributes": {"enabled": "yes"}},
        {"kty": "EC", "attributes": []},
        {"kty": "EC", "tags": [1]},
    ],
)
def test_a_key_outside_the_contract_is_refused_and_none_is_made(vault, token, unused_name, body):
    with vault.http(token) as http:
        answer = http.post(f"/keys/{unused_name}/create", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
        assert http.get(f"/keys/{unused_name}").status_code == 404


@pytest.fixture(scope="module")
def token(vault: TestVault) -> str:
    return vault.token()


def test_no_private_member_is_in_any_answer(vault, token, unused_name):
    with vault.http(token) as http:
        http.post(f"/keys/{unused_name}/create", json={"kty": "RSA"})
        answers = [
            http.get(f"/keys/{unused_name}").json(),
            http.post(f"/keys/{unused_name}/rotate").json(),
            http.patch(f"/keys/{unused_name}", json={"tags": {"a": "b"}}).json(),
            http.delete(f"/keys/{unused_name}").json(),
            http.get(f"/deletedkeys/{unused_name}").json(),
        ]
    assert all(answer["key"].keys() == {"kid", "kty", "key_ops", "n", "e"} for answer in answers)


def test_an_exportable_key_or_a_release_policy_is_refused_as_where_keys_cannot_be_released(keys, unused_name):
    policy = KeyReleasePolicy(b'{"version": "1.0.0"}')
    for options, code in [
        ({"exportable": True}, "AKV.SKR.1004"),
        ({"exportable": True, "release_policy": policy}, "AKV.SKR.1001"),
        ({"release_policy": policy}, "AKV.SKR.1005"),
    ]:
        with pytest.raises(HttpResponseError, match=code) as refused:
            keys.create_rsa_key(unused_name, **options)
        assert error_code(refused.value) == (400, "BadParameter")
    keys.create_ec_key(unused_name)
    with pytest.raises(HttpResponseError) as refused:
        keys.release_key(unused_name, "an attestation")
    assert error_code(refused.value) == (403, "Forbidden")


# Import


def test_an_imported_rsa_key_is_the_caller_s(keys, unused_name):
    private = rsa.generate_private_key(65537, 2048)
    made = keys.import_key(unused_name, rsa_jwk(private, key_ops=["decrypt"]), tags={"from": "elsewhere"})
    assert int.from_bytes(made.key.n) == private.public_key().public_numbers().n
    assert (made.key_operations, made.properties.tags) == (["decrypt"], {"from": "elsewhere"})
    again = keys.import_key(unused_name, rsa_jwk(private), hardware_protected=True)
    assert (again.key_type, again.key.n) == ("RSA-HSM", made.key.n)
    assert again.id != made.id


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()])
def test_an_imported_ec_key_is_the_caller_s(keys, unused_name, curve):
    names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "P-256K"}
    numbers = ec.generate_private_key(curve).private_numbers()
    point, width = numbers.public_numbers, (curve.key_size + 7) // 8
    parts = {"x": point.x.to_bytes(width), "y": point.y.to_bytes(width), "d": numbers.private_value.to_bytes(width)}
    made = keys.import_key(unused_name, JsonWebKey(kty="EC", crv=names[curve.name], **parts))
    assert (made.key.crv, made.key.x, made.key.y) == (names[curve.name], parts["x"], parts["y"])
    assert made.key.d is None


def test_a_key_that_is_not_whole_is_not_imported(keys, unused_name):
    private, other = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
    foreign, public = rsa_jwk(private), rsa_jwk(private)
    foreign.d, public.d = octets(other.private_numbers().d), None
    for unfit in (foreign, public, JsonWebKey(kty="oct", k=b"short"), JsonWebKey(kty="oct")):
        with pytest.raises(HttpResponseError) as refused:
            keys.import_key(unused_name, unfit)
        assert error_code(refused.value) == (400, "BadParameter")
    with pytest.raises(ResourceNotFoundError):
        keys.get_key(unused_name)


# Update


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


# Lists


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


# Soft delete


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


# Backup


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


# Access


@pytest.mark.parametrize(
    ("principal", "may", "may_not"),
    [
        ("auditor", ["get_key"], ["create_ec_key", "rotate_key", "backup_key", "delete", "purge_deleted_key"]),
        ("application", ["get_key"], ["create_ec_key", "rotate_key", "backup_key", "delete"]),
        ("user", ["get_key", "backup_key", "update_key_properties"], ["create_ec_key", "rotate_key", "delete"]),
        ("rotator", ["get_key", "rotate_key", "create_ec_key", "get_key_rotation_policy"], ["purge_deleted_key"]),
        ("officer", ["get_key", "rotate_key", "create_ec_key", "backup_key"], []),
        ("wrapper", [], ["get_key", "create_ec_key", "list_properties_of_keys"]),
        ("nobody", [], ["get_key", "create_ec_key", "list_properties_of_keys"]),
    ],
)
def test_a_role_allows_its_own_calls_and_no_others(keys, unused_name, principal, may, may_not):
    keys.create_ec_key(unused_name)
    client = keys.by(principal)
    for call in may:
        getattr(client, call)(unused_name)
    for call in may_not:
        arguments = () if call.startswith("list") else (unused_name,)
        if call == "delete":
            call = "delete_key" if hasattr(client._target, "delete_key") else "begin_delete_key"  # noqa: PLW2901
        with pytest.raises(HttpResponseError) as refused:
            getattr(client, call)(*arguments)
        assert error_code(refused.value) == (403, "Forbidden")
        assert refused.value.error.innererror["code"] == "ForbiddenByRbac"
        assert TestVault.client_id(principal) in refused.value.message
