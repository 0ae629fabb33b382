"""Roles, routes, names, pages: the judgments of the vault's stand-in that need no server."""

from __future__ import annotations

import pytest

from replica.keyvault import contract, tables
from replica.keyvault.errors import Refusal
from replica.keyvault.operations import Operation
from replica.keyvault.records import Attributes
from replica.keyvault.roles import BUILT_IN, VAULTS, Role, is_allowed
from replica.keyvault.routing import Routes


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        ("Key Vault Administrator", ["keys/purge/action", "secrets/getSecret/action", "keyrotationpolicies/read"], []),
        ("Key Vault Crypto Officer", ["keys/purge/action", "keyrotationpolicies/write"], ["secrets/delete"]),
        ("Key Vault Crypto User", ["keys/sign/action", "keys/read"], ["keys/create/action", "keys/delete"]),
        ("Key Vault Crypto Service Encryption User", ["keys/unwrap/action"], ["keys/decrypt/action", "keys/delete"]),
        (
            "Key Vault Reader",
            ["keys/read", "keyrotationpolicies/read", "secrets/readMetadata/action"],
            ["secrets/getSecret/action", "keys/wrap/action"],
        ),
        ("Key Vault Secrets Officer", ["secrets/purge/action"], ["keys/read"]),
        ("Key Vault Secrets User", ["secrets/getSecret/action"], ["secrets/setSecret/action"]),
        ("Key Vault Data Access Administrator", [], ["keys/read"]),
    ],
)
def test_a_built_in_role_allows_what_azures_does(role: str, allowed: list[str], refused: list[str]):
    may = {action for action in [*allowed, *refused] if BUILT_IN[role].allows(f"{VAULTS}/{action}")}
    assert may == set(allowed)


def test_what_a_role_takes_out_another_may_give():
    most = Role((f"{VAULTS}/keys/*",), (f"{VAULTS}/keys/purge/action",))
    assert not is_allowed([most], f"{VAULTS}/keys/purge/action")
    assert is_allowed([most, BUILT_IN["Key Vault Crypto Officer"]], f"{VAULTS}/keys/purge/action")
    assert is_allowed([most], f"{VAULTS}/Keys/Read")
    assert not is_allowed([], f"{VAULTS}/keys/read")


def test_a_pattern_is_no_regular_expression():
    assert not Role(("Microsoft.KeyVault/vaults/keys/read",)).allows("MicrosoftxKeyVault/vaults/keys/read")
    assert not Role(("keys/read",)).allows("keys/read/more")


def test_every_operation_but_random_bytes_asks_for_an_action_that_the_administrator_has():
    free = [each.audit for each in tables.OPERATIONS if not each.data_action]
    assert len(free) <= 1
    for each in tables.OPERATIONS:
        assert not each.data_action or BUILT_IN["Key Vault Administrator"].allows(f"{VAULTS}/{each.data_action}")


def test_no_two_operations_answer_the_same_address():
    lines = [(each.method, each.path) for each in tables.OPERATIONS]
    assert len(lines) == len(set(lines))


def _routes(*lines: str) -> Routes:
    def handler(_: object) -> None:
        return None

    transaction = tables.OPERATIONS[0].transaction
    return Routes(Operation(*line.split(), line, "", transaction, handler, ()) for line in lines)


def test_words_come_before_variables_and_a_version_may_be_missing():
    routes = _routes("GET /keys/{name}/{version}", "GET /keys/{name}/versions", "POST /keys/{name}/{version}/sign")

    assert routes.match("GET", "/keys/a/versions").operation.audit == "GET /keys/{name}/versions"
    for path in ("/keys/a", "/keys/a/", "/KEYS/a"):
        found = routes.match("GET", path)
        assert (found.operation.path, found.name, found.version) == ("/keys/{name}/{version}", "a", "")
    for path in ("/keys/a/sign", "/keys/a//sign", "/keys/a/sign/"):
        assert routes.match("POST", path).version == ""
    assert routes.match("POST", "/keys/a/b/sign").version == "b"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("PUT", "/keys/a", 405), ("GET", "/key/a", 404), ("GET", "", 404)]
)
def test_an_address_is_unknown_or_its_method_is(method: str, path: str, status: int):
    with pytest.raises(Refusal) as refused:
        _routes("GET /keys/{name}/{version}").match(method, path)
    assert refused.value.status == status


@pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"\xfb\xff"])
def test_bytes_travel_as_base64url_without_padding(value: bytes):
    assert contract.decode(contract.encode(value)) == value
    assert not set(contract.encode(value)) & set("+/=")


@pytest.mark.parametrize("text", ["a", "a+b/", "ab c", "ä", "====a"])
def test_what_is_not_base64url_is_refused(text: str):
    with pytest.raises(Refusal) as refused:
        contract.require_bytes({"value": text}, "value")
    assert text not in refused.value.message.replace("Property value is not a base64url string", "")


def test_attributes_that_are_not_given_stay():
    before = Attributes(enabled=False, not_before=5, expires=9)
    assert contract.require_attributes({}, before) == before
    assert contract.require_attributes({"attributes": {"enabled": True}}, before) == Attributes(True, 5, 9)
    with pytest.raises(Refusal):
        contract.require_attributes({"attributes": {"nbf": 9}}, before)


def test_a_page_links_to_the_next_only_where_there_is_one():
    items = [f"n{number:02}" for number in range(30)]

    def fetch(after: str, most: int) -> list[str]:
        return [item for item in items if item > after][:most]

    seen, query = list[str](), {"api-version": "7.6"}
    while True:
        page = contract.page("https://v", "/keys", query, fetch, lambda item: (item, {"id": item}))
        seen += [item["id"] for item in page["value"]]
        if page["nextLink"] is None:
            break
        assert len(page["value"]) == 25
        query = dict(pair.split("=", 1) for pair in page["nextLink"].partition("?")[2].split("&"))
    assert seen == items
