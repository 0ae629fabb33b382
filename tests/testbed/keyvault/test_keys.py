"""Keys as objects are made and read, by the unchanged Azure SDK, sync and aio, as far as a role allows."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import KeyReleasePolicy

from tests.testbed.keyvault.ground import TestVault
from tests.testbed.keyvault.key_clients import error_code, in_whole_seconds

pytestmark = pytest.mark.without_search

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}
ALL_OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]


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
