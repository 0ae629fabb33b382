"""What a request does, read from its method and address, beside the table of the vault that names it in its own log."""

from __future__ import annotations

import pytest

from replica.keyvault.tables import OPERATIONS
from steward.keys.actions import READS, Action, action_of, is_key_operation, name_and_version

VAULT = "https://keys.vault.azure.net"
VERSION = "0123456789abcdef" * 2


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.audit)
def test_every_operation_of_the_contract_has_the_name_that_the_vaults_log_gives_it(operation):
    url = f"{VAULT}{operation.path.format(name='tenants', version=VERSION)}?api-version=7.6"
    done = action_of(operation.method, url)
    assert done.operation == operation.audit
    assert done.name == ("tenants" if "{name}" in operation.path else "")
    assert done.version == (VERSION if "{version}" in operation.path else "")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.audit)
def test_an_address_names_the_same_whatever_is_asked_of_it(operation):
    url = f"{VAULT}{operation.path.format(name='tenants', version=VERSION)}"
    done = action_of(operation.method, url)
    assert name_and_version(url) == (done.name, done.version)


@pytest.mark.parametrize(
    ("method", "path", "done"),
    [
        ("GET", "/keys/tenants/", Action("KeyGet", "tenants")),
        ("POST", "/keys/tenants//unwrapkey", Action("KeyUnwrap", "tenants")),
        ("post", "/Keys/tenants/UnwrapKey", Action("KeyUnwrap", "tenants")),
        ("POST", "/nowhere", Action("Unknown")),
        ("POST", "/keys/tenants", Action("Unknown", "tenants")),
        ("GET", "", Action("Unknown")),
    ],
)
def test_an_unusual_address_is_read_as_the_vault_reads_it(method, path, done):
    assert action_of(method, VAULT + path) == done


def test_what_is_unknown_counts_as_done_to_a_key():
    assert is_key_operation("Unknown")
    assert is_key_operation("KeySomethingNew")
    assert not any(map(is_key_operation, [*READS, "SecretGet", "VaultGet", "Authentication", "CertificateGet"]))
