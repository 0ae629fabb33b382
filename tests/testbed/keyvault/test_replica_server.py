"""The replica's own vault: as settings name it, with its principals, through faults."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient

from replica import faults, start
from replica.server import Place
from replica.servers import SERVERS, providers
from replica.servers.keyvault import KEK, client_id, client_secret
from steward.settings import Settings, Vault

pytestmark = pytest.mark.without_search


@pytest.fixture
def described(settings: Settings) -> Vault:
    assert settings.vault is not None
    return settings.vault


@contextmanager
def _client(kind, replica: Place, described: Vault, principal: str, **more) -> Generator:
    checked = {"connection_verify": str(described.ca_file), **more}
    with (
        ClientSecretCredential(
            described.tenant,
            client_id(principal),
            replica.secret(client_secret(principal)),
            authority=described.authority,
            disable_instance_discovery=True,
            **checked,
        ) as credential,
        kind(described.url, credential, verify_challenge_resource=False, **checked) as client,
    ):
        yield client


def test_the_key_that_wraps_tenants_keys_is_there_for_those_who_need_it(replica: Place, described: Vault):
    for principal in ("steward", "application", "auditor"):
        with _client(KeyClient, replica, described, principal) as keys:
            key = keys.get_key(KEK)
            assert (key.key_type, len(key.key.n)) == ("RSA", 384)


def test_each_principal_may_what_its_work_needs_and_no_more(replica: Place, described: Vault):
    with _client(KeyClient, replica, described, "steward") as keys, pytest.raises(HttpResponseError) as refused:
        keys.purge_deleted_key("any")
    assert refused.value.status_code == 403
    with (
        _client(SecretClient, replica, described, "application") as secrets,
        pytest.raises(HttpResponseError) as refused,
    ):
        secrets.get_secret("any")
    assert refused.value.status_code == 403
    with _client(KeyClient, replica, described, "auditor") as keys, pytest.raises(HttpResponseError) as refused:
        keys.create_oct_key("any")
    assert refused.value.status_code == 403


def test_a_second_up_makes_no_second_version_and_a_kill_loses_none(replica: Place, described: Vault):
    with _client(KeyClient, replica, described, "steward") as keys:
        before = [each.id for each in keys.list_properties_of_key_versions(KEK)]
        faults.kill(replica.state, "keyvault")
        start.up(replica.state, SERVERS, ["keyvault"])
        start.up(replica.state, SERVERS, ["keyvault"])
        assert [each.id for each in keys.list_properties_of_key_versions(KEK)] == before


def test_providers_keys_are_put_there_once_and_rotated_ones_stay(replica: Place, described: Vault):
    with _client(SecretClient, replica, described, "administrator") as secrets:
        put = secrets.get_secret("provider-openai")
        assert put.value == providers.key(replica, providers.OPENAI)
        assert put.properties.expires_on is not None
        spare = secrets.get_secret("provider-anthropic-2").properties.tags
        assert (spare["steward-pool"], spare["key-id"], spare["state"]) == (
            "anthropic",
            "apikey_platform_2",
            "available",
        )
        try:
            secrets.set_secret("provider-openai", "sk-rotated", tags=put.properties.tags)
            start.up(replica.state, SERVERS, ["keyvault"])
            assert secrets.get_secret("provider-openai").value == "sk-rotated"
        finally:
            secrets.set_secret("provider-openai", put.value, tags=put.properties.tags)


def test_while_it_is_frozen_nobody_is_answered_and_afterwards_all_is_well(replica: Place, described: Vault):
    with _client(KeyClient, replica, described, "auditor", read_timeout=0.3, retry_total=0) as keys:
        keys.get_key(KEK)
        with faults.frozen(replica.state, "keyvault"), pytest.raises((ServiceRequestError, ServiceResponseError)):
            keys.get_key(KEK)
        assert keys.get_key(KEK).name == KEK


def test_on_a_full_disk_nothing_is_acknowledged_and_afterwards_all_is_well(replica: Place, described: Vault):
    with _client(SecretClient, replica, described, "administrator", retry_total=0) as secrets:
        secrets.set_secret("before", "x")
        with faults.filled(replica.state, "keyvault", limit_bytes=1000):
            # As many as the vault has threads, so that each of them meets it.
            for _ in range(32):
                with pytest.raises(HttpResponseError) as refused:
                    secrets.set_secret("within", "x")
                assert refused.value.status_code == 500
        for _ in range(32):
            secrets.set_secret("after", "x")
        assert [secrets.get_secret(name).value for name in ("before", "after")] == ["x", "x"]


def test_a_partition_stands_between_vault_and_clients_and_healing_ends_it(proxied: Place, settings: Settings):
    described = settings.vault
    assert described is not None
    with _client(KeyClient, proxied, described, "auditor", read_timeout=0.3, retry_total=0) as keys:
        # What it names leads back through the proxy.
        assert keys.get_key(KEK).id.startswith(f"{described.url}/")
        with faults.partitioned(proxied.state, "keyvault"), pytest.raises((ServiceRequestError, ServiceResponseError)):
            keys.get_key(KEK)
        assert keys.get_key(KEK).name == KEK
