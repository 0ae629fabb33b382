"""The audit log: one line for each request, nothing secret in any."""

from __future__ import annotations

import base64

import pytest

from tests.testbed.keyvault.both import secrets_of
from tests.testbed.keyvault.ground import SUBSCRIPTION, NewVault, TestVault
from tests.unit.fieldcrypt.in_memory import until

pytestmark = pytest.mark.without_search

_VALUE = "do not write me down: 7f3a"


@pytest.fixture
def own(new_vault: NewVault):
    with new_vault() as vault:
        yield vault


def test_each_request_has_exactly_one_line_whatever_became_of_it(own: TestVault):
    token = own.token()
    with own.http(token) as plain, own.http() as stranger:
        requests = [
            ("SecretSet", plain.put("/secrets/a", json={"value": _VALUE})),
            ("SecretGet", plain.get("/secrets/a")),
            ("SecretGet", plain.get("/secrets/missing")),
            ("SecretGet", stranger.get("/secrets/a")),
            ("SecretSet", plain.put("/secrets/a_b", json={"value": _VALUE})),
            ("SecretSet", plain.put("/secrets/a", content=b"broken")),
            ("SecretList", plain.get("/secrets", params={"api-version": "0"})),
            ("Unknown", plain.get("/nowhere")),
            ("Unknown", plain.post("/secrets")),
            ("SecretDelete", plain.delete("/secrets/a")),
            ("SecretPurge", plain.delete("/deletedsecrets/a")),
        ]
    logged = own.audit()
    assert [(event["operationName"], event["properties"]["httpStatusCode"]) for event in logged] == [
        (name, answer.status_code) for name, answer in requests
    ]
    assert [event["resultType"] for event in logged] == [
        "Success" if answer.is_success else "Failed" for _, answer in requests
    ]


def test_a_line_has_the_shape_of_azures_diagnostics(own: TestVault):
    with own.http(own.token("auditor")) as plain:
        plain.get("/secrets/a", headers={"User-Agent": "a test", "x-ms-client-request-id": "c-1"})
    (event,) = own.audit()
    assert event["category"] == "AuditEvent"
    assert (event["operationName"], event["operationVersion"]) == ("SecretGet", "7.6")
    assert (event["resultType"], event["resultSignature"]) == ("Failed", "Forbidden")
    assert event["resultDescription"].startswith("Caller is not authorized")
    assert (event["callerIpAddress"], event["correlationId"]) == ("127.0.0.1", "c-1")
    assert event["durationMs"] >= 0
    claim = event["identity"]["claim"]
    assert claim["appid"] == own.client_id("auditor")
    assert claim["http://schemas.microsoft.com/identity/claims/objectidentifier"]
    assert event["properties"] == {
        "id": f"{own.url}/secrets/a",
        "clientInfo": "a test",
        "requestUri": f"{own.url}/secrets/a?api-version=7.6",
        "httpStatusCode": 403,
        "isRbacAuthorized": False,
    }
    assert event["resourceId"].startswith(f"/SUBSCRIPTIONS/{SUBSCRIPTION.upper()}/RESOURCEGROUPS/")


def test_what_was_refused_by_the_limits_is_logged_as_throttled(own: TestVault):
    with own.http(own.token()) as plain:
        answers = [plain.post("/secrets/restore", json={"value": "AA"}).status_code for _ in range(301)]
    assert answers.count(429) == 1
    assert own.audit()[-1]["resultSignature"] == "Too Many Requests"


def test_no_value_no_backup_and_no_token_is_ever_in_it(own: TestVault):
    token = own.token()
    with own.http(token) as plain:
        plain.put("/secrets/a", json={"value": _VALUE, "tags": {"hint": _VALUE}})
        plain.get("/secrets/a")
        plain.put("/secrets/a", content=f'{{"value": "{_VALUE}"'.encode())
        plain.put("/secrets/a", json={"value": _VALUE, "attributes": _VALUE})
        backup = plain.post("/secrets/a/backup").json()["value"]
        plain.post("/secrets/restore", json={"value": backup})
    log = (own.folder / "vault" / "audit.log").read_text() + (own.folder / "log").read_text()
    for secret in (_VALUE, base64.b64encode(_VALUE.encode()).decode(), backup[:40], token, own.secret("administrator")):
        assert secret not in log


def test_no_caller_can_forge_a_line(own: TestVault):
    with own.http(own.token()) as plain:
        plain.get("/secrets/a%0A%7B%22time%22%3A1%7D", headers={"User-Agent": 'x"}\x7f{"time": 1}'})
    # It answers before it writes down that it did.
    until(own.audit)
    assert len(own.audit()) == 1


def test_the_sdks_first_request_shows_neither_body_nor_identity(own: TestVault):
    with secrets_of(own, "sync") as secrets:
        secrets.set_secret("a", "x")
    challenged, served = own.audit()
    assert (challenged["resultSignature"], challenged["identity"]) == ("Unauthorized", {})
    assert (served["resultSignature"], served["properties"]["isRbacAuthorized"]) == ("OK", True)
    assert "azsdk-python-keyvault-secrets" in served["properties"]["clientInfo"]
