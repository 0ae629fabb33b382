"""Who may do what, and how addresses are refused."""

from __future__ import annotations

import re

import httpx
import psutil
import pytest
from azure.core.exceptions import HttpResponseError

from tests.testbed.keyvault.both import secrets_of
from tests.testbed.keyvault.ground import SUBSCRIPTION, TestVault

pytestmark = pytest.mark.without_search

_EVERYONE = ("administrator", "officer", "rotator", "user", "application", "auditor", "nobody")
_CALLS = {
    "set": ("PUT", "/secrets/{name}"),
    "get": ("GET", "/secrets/{name}"),
    "update": ("PATCH", "/secrets/{name}"),
    "list": ("GET", "/secrets"),
    "backup": ("POST", "/secrets/{name}/backup"),
    "restore": ("POST", "/secrets/restore"),
    "delete": ("DELETE", "/secrets/{name}"),
    "recover": ("POST", "/deletedsecrets/{name}/recover"),
    "purge": ("DELETE", "/deletedsecrets/{name}"),
}
_ALL = set(_CALLS)
_MAY = {
    "administrator": _ALL,
    "officer": _ALL,
    "rotator": {"get", "list", "set", "update", "delete"},
    "user": {"get", "list"},
    "application": set[str](),
    "auditor": {"list"},
    "nobody": set[str](),
}


@pytest.mark.parametrize("principal", _EVERYONE)
def test_each_role_may_what_azures_does_and_nothing_else(vault: TestVault, unused_name: str, principal: str):
    with vault.http(vault.token(principal)) as plain:
        answers = {
            call: plain.request(method, path.format(name=unused_name), json={"value": "x"} if method != "GET" else None)
            for call, (method, path) in _CALLS.items()
        }
    # What is allowed may still be wrong (a backup that is none); only 403 says that it was not allowed.
    assert {call for call, answer in answers.items() if answer.status_code != 403} == _MAY[principal]


def test_a_refusal_names_caller_action_and_resource_in_azures_words(vault: TestVault, unused_name: str):
    with secrets_of(vault, "sync", "auditor") as secrets, pytest.raises(HttpResponseError) as refused:
        secrets.get_secret(unused_name)
    error = refused.value.error
    resource = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/replica/providers/microsoft.keyvault/vaults/vault"
    assert (refused.value.status_code, error.code, error.innererror["code"]) == (403, "Forbidden", "ForbiddenByRbac")
    assert error.message.startswith("Caller is not authorized to perform action on resource.\r\n")
    for part in (
        f"appid={vault.client_id('auditor')};oid=",
        "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'",
        f"Resource: '{resource}/secrets/{unused_name}'",
    ):
        assert part in error.message


def test_who_may_not_read_learns_not_whether_it_is_there(vault: TestVault, unused_name: str):
    with vault.http(vault.token("auditor")) as plain:
        before = plain.get(f"/secrets/{unused_name}").json()
        with secrets_of(vault, "sync") as secrets:
            secrets.set_secret(unused_name, "x")
        assert plain.get(f"/secrets/{unused_name}").json() == before


@pytest.fixture
def plain(vault: TestVault):
    with vault.http(vault.token()) as client:
        yield client


@pytest.mark.parametrize("given", ["", "7.7", "2016-10-01", "latest", "7.6-preview.1"])
def test_an_unknown_version_of_the_interface_is_refused(plain: httpx.Client, given: str):
    answer = plain.get("/secrets", params={"api-version": given})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert f"({given})" in answer.json()["error"]["message"]


def test_a_missing_version_of_the_interface_is_refused(vault: TestVault, plain: httpx.Client):
    assert plain.get(f"{vault.url}/secrets", params={"api-version": ""}).status_code == 400


@pytest.mark.parametrize("name", ["a_b", "a.b", "a b", "ä", "a" * 128, "a%00b", "%2e%2e", "a%27--"])
def test_a_name_that_azure_would_not_take_is_refused(plain: httpx.Client, name: str):
    answer = plain.put(f"/secrets/{name}", json={"value": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert "invalid name" in answer.json()["error"]["message"]


def test_a_version_is_thirty_two_hexadecimal_digits(plain: httpx.Client):
    assert plain.get("/secrets/a/latest").status_code == 400
    assert plain.get(f"/secrets/a/{'A' * 32}").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/certificates", 404),
        ("GET", "/secrets/a/b/c/d", 404),
        ("GET", "/metrics", 404),
        ("POST", "/secrets", 405),
        ("DELETE", "/secrets", 405),
        ("PUT", "/deletedsecrets/a", 405),
        ("HEAD", "/secrets", 405),
    ],
)
def test_an_unknown_address_is_404_and_an_unknown_method_405(plain: httpx.Client, method: str, path: str, status: int):
    assert plain.request(method, path).status_code == status


def test_a_stranger_learns_nothing_of_addresses(vault: TestVault):
    with vault.http() as stranger:
        answers = {stranger.get(path).status_code for path in ("/", "/secrets", "/nowhere", "/secrets/a_b")}
    assert answers == {401}


@pytest.mark.parametrize("given", ["0", "26", "-1", "many", "1e1", ""])
def test_a_page_has_one_to_twenty_five_items(plain: httpx.Client, given: str):
    assert plain.get("/secrets", params={"maxresults": given}).status_code == 400


def test_a_page_goes_on_from_this_vaults_own_links_only(plain: httpx.Client):
    for token in ("%", "ä", "a b"):
        assert plain.get("/secrets", params={"$skiptoken": token}).status_code == 400


def test_identifiers_and_links_lead_back_the_way_the_caller_came(vault: TestVault, unused_name: str):
    base = f"https://localhost:{vault.vault_port}"
    with vault.http(vault.token()) as plain:
        for number in range(2):
            made = plain.put(f"{base}/secrets/{unused_name}-{number}", json={"value": "x"}).json()
        page = plain.get(f"{base}/secrets", params={"maxresults": "1"}).json()
        foreign = plain.get("/secrets", params={"maxresults": "1"}, headers={"Host": "elsewhere.example"}).json()
    assert made["id"].startswith(f"{base}/secrets/{unused_name}-1/")
    assert page["nextLink"].startswith(f"{base}/secrets?")
    assert foreign["nextLink"].startswith(f"{vault.url}/secrets?")


def test_what_a_caller_writes_as_its_host_changes_no_address(plain: httpx.Client, vault: TestVault):
    host = f"127.0.0.1:{vault.vault_port}/secrets/elsewhere?"
    answer = plain.get("/nowhere", headers={"Host": host})
    assert answer.status_code in {400, 404}
    if answer.status_code == 404:
        assert vault.audit()[-1]["properties"]["requestUri"].startswith(f"{vault.url}/nowhere")


def test_answers_carry_azures_headers(plain: httpx.Client):
    headers = plain.get("/secrets", headers={"x-ms-client-request-id": "mine"}).headers
    assert headers["x-ms-client-request-id"] == "mine"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-ms-request-id"])
    for name in ("x-ms-keyvault-service-version", "x-ms-keyvault-region", "strict-transport-security"):
        assert headers[name]
    assert headers["cache-control"] == "no-cache"


def test_a_body_without_end_is_not_kept(plain: httpx.Client):
    answer = plain.put("/secrets/big", content=b" " * (17 * 1024**2))
    assert answer.status_code == 413


def test_only_loopback_listens(vault: TestVault):
    assert vault.process is not None
    addresses = {
        each.laddr.ip for each in psutil.Process(vault.process.pid).net_connections() if each.status == "LISTEN"
    }
    assert addresses == {"127.0.0.1"}


def test_no_secret_is_on_the_command_line_and_all_files_are_closed(vault: TestVault):
    assert vault.process is not None
    shown = " ".join(psutil.Process(vault.process.pid).cmdline())
    assert not any(vault.secret(name) in shown for name in _EVERYONE)
    files = [path for path in (vault.folder / "vault").iterdir() if path.is_file()]
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    assert (vault.folder / "vault").stat().st_mode & 0o077 == 0
