"""The unchanged Azure SDK for secrets, both of its clients, every call."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from tests.testbed.keyvault.both import Secrets, secrets_of
from tests.testbed.keyvault.ground import NewVault, TestVault

pytestmark = pytest.mark.without_search


@pytest.fixture(params=["sync", "async"])
def secrets(request: pytest.FixtureRequest, vault: TestVault) -> Generator[Secrets]:
    with secrets_of(vault, request.param) as client:
        yield client


def test_a_set_secret_is_got_back_with_all_that_was_said_of_it(secrets: Secrets, unused_name: str):
    before, after = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    given = {"tags": {"team": "search"}, "content_type": "password", "not_before": before, "expires_on": after}

    made = secrets.set_secret(unused_name, "päss", **given)
    got = secrets.get_secret(unused_name)

    assert got.value == "päss"
    assert got.id == made.id
    assert (got.properties.tags, got.properties.content_type) == ({"team": "search"}, "password")
    assert (got.properties.not_before, got.properties.expires_on) == (before, after)
    assert got.properties.enabled is True
    assert got.properties.recoverable_days == 90
    assert got.properties.recovery_level == "Recoverable+Purgeable"
    assert got.properties.created_on <= got.properties.updated_on <= datetime.now(UTC)


def test_setting_again_adds_a_version_and_keeps_the_old_one(secrets: Secrets, unused_name: str):
    first, second = (secrets.set_secret(unused_name, value).properties.version for value in ("one", "two"))

    assert secrets.get_secret(unused_name).value == "two"
    assert secrets.get_secret(unused_name, first).value == "one"
    listed = secrets.items("list_properties_of_secret_versions", unused_name)
    assert sorted(each.version for each in listed) == sorted([first, second])


def test_names_are_the_same_whatever_their_case(secrets: Secrets, unused_name: str):
    secrets.set_secret(unused_name, "one")
    secrets.set_secret(unused_name.upper(), "two")

    assert secrets.get_secret(unused_name).value == "two"
    assert len(secrets.items("list_properties_of_secret_versions", unused_name)) == 2


def test_properties_change_without_the_value_and_only_where_given(secrets: Secrets, unused_name: str):
    first = secrets.set_secret(unused_name, "one", tags={"a": "1"}, content_type="text").properties.version
    secrets.set_secret(unused_name, "two")

    changed = secrets.update_secret_properties(unused_name, first, tags={"b": "2"})
    again = secrets.update_secret_properties(unused_name, first, content_type="words")

    assert (changed.tags, changed.content_type) == ({"b": "2"}, "text")
    assert (again.tags, again.content_type) == ({"b": "2"}, "words")
    assert secrets.get_secret(unused_name, first).value == "one"
    assert secrets.get_secret(unused_name).properties.tags is None


def test_without_a_version_the_newest_is_changed(secrets: Secrets, unused_name: str):
    first = secrets.set_secret(unused_name, "one").properties.version
    second = secrets.set_secret(unused_name, "two").properties.version

    assert secrets.update_secret_properties(unused_name, tags={"n": "2"}).version == second
    assert secrets.get_secret(unused_name, first).properties.tags is None


def test_a_disabled_version_is_not_given_out_until_it_is_enabled_again(secrets: Secrets, unused_name: str):
    made = secrets.set_secret(unused_name, "one", enabled=False)
    assert made.properties.enabled is False

    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret(unused_name)
    assert (refused.value.status_code, refused.value.error.code) == (403, "Forbidden")
    assert refused.value.error.innererror["code"] == "SecretDisabled"

    secrets.update_secret_properties(unused_name, enabled=True)
    assert secrets.get_secret(unused_name).value == "one"


def test_times_bind_nobody_as_in_azure(secrets: Secrets, unused_name: str):
    now = datetime.now(UTC)
    secrets.set_secret(f"{unused_name}-old", "old", expires_on=now - timedelta(days=1))
    secrets.set_secret(f"{unused_name}-new", "new", not_before=now + timedelta(days=1))

    assert secrets.get_secret(f"{unused_name}-old").value == "old"
    assert secrets.get_secret(f"{unused_name}-new").value == "new"


def test_an_unknown_name_or_version_is_not_found(secrets: Secrets, unused_name: str):
    with pytest.raises(ResourceNotFoundError) as missing:
        secrets.get_secret(unused_name)
    assert missing.value.error.code == "SecretNotFound"

    secrets.set_secret(unused_name, "one")
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret(unused_name, "0" * 32)


def test_a_deleted_secret_comes_back_with_every_version(secrets: Secrets, unused_name: str):
    versions = [secrets.set_secret(unused_name, value).properties.version for value in ("one", "two")]

    deleted = secrets.delete(unused_name)

    assert deleted.scheduled_purge_date - deleted.deleted_date == timedelta(days=90)
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret(unused_name, versions[0])
    assert secrets.items("list_properties_of_secret_versions", unused_name) == []
    found = secrets.get_deleted_secret(unused_name)
    assert (found.recovery_id, found.name) == (deleted.recovery_id, unused_name)
    assert unused_name in {each.name for each in secrets.items("list_deleted_secrets")}

    secrets.recover(unused_name)
    assert secrets.get_secret(unused_name, versions[0]).value == "one"
    assert secrets.get_secret(unused_name).value == "two"


def test_a_deleted_name_is_taken_until_it_is_purged(secrets: Secrets, unused_name: str):
    secrets.set_secret(unused_name, "one")
    secrets.delete(unused_name)

    with pytest.raises(ResourceExistsError) as taken:
        secrets.set_secret(unused_name, "two")
    assert (taken.value.status_code, taken.value.error.code) == (409, "Conflict")
    assert taken.value.error.innererror["code"] == "ObjectIsDeletedButRecoverable"

    secrets.purge_deleted_secret(unused_name)
    with pytest.raises(ResourceNotFoundError):
        secrets.get_deleted_secret(unused_name)
    secrets.set_secret(unused_name, "two")
    assert len(secrets.items("list_properties_of_secret_versions", unused_name)) == 1


def test_what_is_not_deleted_is_neither_recovered_nor_purged(secrets: Secrets, unused_name: str):
    secrets.set_secret(unused_name, "one")

    with pytest.raises(ResourceNotFoundError):
        secrets.purge_deleted_secret(unused_name)
    with pytest.raises(ResourceNotFoundError):
        secrets.recover(unused_name)
    assert secrets.get_secret(unused_name).value == "one"


def test_a_backup_restores_every_version_with_its_identifier(secrets: Secrets, unused_name: str):
    made = [secrets.set_secret(unused_name, value, tags={"v": value}) for value in ("one", "two")]
    backup = secrets.backup_secret(unused_name)
    secrets.delete(unused_name)
    with pytest.raises(ResourceExistsError):
        secrets.restore_secret_backup(backup)
    secrets.purge_deleted_secret(unused_name)

    restored = secrets.restore_secret_backup(backup)

    assert restored.id == made[1].id
    for before in made:
        after = secrets.get_secret(unused_name, before.properties.version)
        assert (after.value, after.properties.tags) == (before.value, before.properties.tags)
        assert after.properties.created_on == before.properties.created_on


def test_a_backup_shows_nothing_and_is_whole_or_refused(secrets: Secrets, unused_name: str):
    secrets.set_secret(unused_name, "a value to be found in clear")
    backup = secrets.backup_secret(unused_name)
    assert b"a value" not in backup
    assert unused_name.encode() not in backup

    for damaged in (backup[:-1], backup[:-1] + bytes([backup[-1] ^ 1]), b"", b"anything"):
        with pytest.raises(HttpResponseError) as refused:
            secrets.restore_secret_backup(damaged)
        assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


def _refuse_backup(vault: TestVault, backup: bytes) -> None:
    with secrets_of(vault, "sync") as secrets, pytest.raises(HttpResponseError, match="Backup blob"):
        secrets.restore_secret_backup(backup)


def test_another_vault_restores_a_backup_only_under_the_same_seal_and_subscription(new_vault: NewVault):
    with new_vault() as one:
        with secrets_of(one, "sync") as secrets:
            secrets.set_secret("moved", "here")
            backup = secrets.backup_secret("moved")
        seal = str(one.folder / "vault" / "seal.key")
        with new_vault(seal_file=seal) as same, secrets_of(same, "sync") as secrets:
            secrets.restore_secret_backup(backup)
            assert secrets.get_secret("moved").value == "here"
        elsewhere = "11111111-54b4-4a0c-8d6d-5b8a2a6f9e21"
        with new_vault(seal_file=seal, subscription=elsewhere) as other:
            _refuse_backup(other, backup)
        with new_vault() as stranger:
            _refuse_backup(stranger, backup)


def test_listings_go_on_over_pages_and_miss_nothing(secrets: Secrets, unused_name: str):
    names = [f"{unused_name}-{number:02}" for number in range(28)]
    for name in names:
        secrets.set_secret(name, "x")
    versions = {secrets.set_secret(names[0], str(number)).properties.version for number in range(27)}

    listed = [each.name for each in secrets.items("list_properties_of_secrets")]
    assert [name for name in listed if name.startswith(unused_name)] == names
    few = [each.name for each in secrets.items("list_properties_of_secrets", max_page_size=7)]
    assert few == listed
    all_versions = [each.version for each in secrets.items("list_properties_of_secret_versions", names[0])]
    assert len(all_versions) == 28
    assert versions < set(all_versions)

    for name in names:
        secrets.delete(name)
    deleted = [each.name for each in secrets.items("list_deleted_secrets")]
    assert [name for name in deleted if name.startswith(unused_name)] == names


@pytest.mark.parametrize("api_version", ["7.0", "7.6", "2025-07-01", "2026-04-01"])
def test_every_version_of_the_interface_serves(vault: TestVault, unused_name: str, api_version: str):
    with secrets_of(vault, "sync", api_version=api_version) as secrets:
        secrets.set_secret(unused_name, "one")
        assert secrets.get_secret(unused_name).value == "one"


def test_a_retention_of_less_than_ninety_days_is_called_customized(new_vault: NewVault):
    with new_vault(retention_days=7) as vault, secrets_of(vault, "sync") as secrets:
        made = secrets.set_secret("short", "x")
        assert (made.properties.recoverable_days, made.properties.recovery_level) == (
            7,
            "CustomizedRecoverable+Purgeable",
        )
        deleted = secrets.delete("short")
        assert deleted.scheduled_purge_date - deleted.deleted_date == timedelta(days=7)


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_deletion_that_comes_through_late_is_waited_for_by_the_sdk(new_vault: NewVault, how: str):
    with new_vault(transition_seconds=0.5) as vault, secrets_of(vault, how) as secrets:
        secrets.set_secret("slow", "x")
        with vault.http(vault.token()) as plain:
            assert plain.delete("/secrets/slow").status_code == 200
            assert plain.get("/deletedsecrets/slow").status_code == 404
            again = plain.put("/secrets/slow", json={"value": "y"})
            early = plain.post("/deletedsecrets/slow/recover")
        assert (again.status_code, again.json()["error"]["innererror"]) == (409, {"code": "ObjectIsBeingDeleted"})
        assert early.status_code == 409

        secrets.set_secret("slower", "x")
        secrets.delete("slower")
        secrets.recover("slower")
        assert secrets.get_secret("slower").value == "x"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"[" * 100_000,
        json.dumps({"value": 7}).encode(),
        json.dumps({"value": "x" * 25_601}).encode(),
        b'{"value": "\\ud800"}',
        json.dumps({"value": "x", "contentType": "c" * 256}).encode(),
        json.dumps({"value": "x", "tags": {str(number): "t" for number in range(16)}}).encode(),
        json.dumps({"value": "x", "tags": {"a": 1}}).encode(),
        json.dumps({"value": "x", "attributes": {"enabled": "yes"}}).encode(),
        json.dumps({"value": "x", "attributes": {"exp": -1}}).encode(),
        json.dumps({"value": "x", "attributes": {"nbf": 20, "exp": 10}}).encode(),
    ],
)
def test_a_body_that_is_not_of_the_contract_is_refused_and_nothing_made(
    vault: TestVault, unused_name: str, body: bytes
):
    with vault.http(vault.token()) as plain:
        refused = plain.put(f"/secrets/{unused_name}", content=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadParameter")
        assert plain.get(f"/secrets/{unused_name}").status_code == 404


def test_a_value_may_be_as_long_as_azure_allows(vault: TestVault, unused_name: str):
    with vault.http(vault.token()) as plain:
        assert plain.put(f"/secrets/{unused_name}", json={"value": "x" * 25_600}).status_code == 200
