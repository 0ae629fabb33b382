"""Who comes in: the login's tokens and the vault's belief in them."""

from __future__ import annotations

import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from replica.keyvault.contract import encode
from tests.testbed.keyvault.ground import SCOPE, TENANT, NewVault, TestVault

pytestmark = pytest.mark.without_search


def _status_and_message(vault: TestVault, token: str | None) -> tuple[int, str]:
    with vault.http(token) as plain:
        answer = plain.get("/secrets")
    if answer.status_code == 401:
        challenge = answer.headers["www-authenticate"]
        assert challenge == f'Bearer authorization="{vault.authority}/{TENANT}", resource="https://vault.azure.net"'
        assert answer.json()["error"]["code"] == "Unauthorized"
    return answer.status_code, answer.json().get("error", {}).get("message", "")


def _claims(vault: TestVault) -> dict[str, Any]:
    return jwt.decode(vault.token(), options={"verify_signature": False})


def _headers(vault: TestVault) -> dict[str, Any]:
    return {"kid": jwt.get_unverified_header(vault.token())["kid"]}


def _issuers_key(vault: TestVault) -> Any:
    return serialization.load_pem_private_key(Path(vault.folder / "vault" / "issuer.key").read_bytes(), password=None)


def _signed(vault: TestVault, **changed: Any) -> str:
    """A token of the true issuer's with other claims; None leaves one out."""
    claims = {name: value for name, value in {**_claims(vault), **changed}.items() if value is not None}
    return jwt.encode(claims, _issuers_key(vault), algorithm="RS256", headers=_headers(vault))


def test_a_sound_token_is_believed(vault: TestVault):
    assert _status_and_message(vault, vault.token())[0] == 200


def test_without_a_token_the_challenge_says_where_to_get_one(vault: TestVault):
    assert _status_and_message(vault, None) == (401, "AKV10000: Request is missing a Bearer or PoP token.")


@pytest.mark.parametrize("token", ["x", "a.b.c", "ä", "e30.e30.", "." * 3000])
def test_what_is_no_token_is_refused(vault: TestVault, token: str):
    with vault.http() as plain:
        answer = plain.get("/secrets", headers={"Authorization": f"Bearer {token}".encode()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")


def test_another_scheme_is_no_token(vault: TestVault):
    with vault.http() as plain:
        assert plain.get("/secrets", headers={"Authorization": f"Basic {vault.token()}"}).status_code == 401


def test_a_token_for_another_resource_is_refused(vault: TestVault):
    status, message = _status_and_message(vault, vault.token(scope="https://management.azure.com/.default"))
    assert (status, message[:8]) == (401, "AKV10022")
    # One audience, not a list with ours in it.
    assert _status_and_message(vault, _signed(vault, aud=["https://vault.azure.net", "https://else"]))[0] == 401


def test_a_token_of_another_issuer_is_refused(vault: TestVault):
    status, message = _status_and_message(vault, _signed(vault, iss="https://127.0.0.1:1/elsewhere/"))
    assert (status, message[:8]) == (401, "AKV10032")


def test_a_token_signed_by_anyone_else_is_refused(vault: TestVault):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    same_name = jwt.encode(_claims(vault), stranger, algorithm="RS256", headers=_headers(vault))
    other_name = jwt.encode(_claims(vault), stranger, algorithm="RS256", headers={"kid": "stranger"})

    assert _status_and_message(vault, same_name) == (401, "Error validating token: IDX10511")
    assert _status_and_message(vault, other_name)[1].startswith("AKV10046")


def _signed_with_the_public_key(vault: TestVault) -> str:
    """The classic confusion: the key that everybody knows, taken as the secret of HS256."""
    public = _issuers_key(vault).public_key()
    known = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts = ({"alg": "HS256", "typ": "JWT", **_headers(vault)}, _claims(vault))
    signed = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encode(hmac.digest(known, signed.encode(), 'sha256'))}"


def test_no_other_algorithm_is_believed(vault: TestVault):
    tokens = [
        jwt.encode(_claims(vault), None, algorithm="none", headers=_headers(vault)),
        _signed_with_the_public_key(vault),
        jwt.encode(_claims(vault), _issuers_key(vault), algorithm="PS256", headers=_headers(vault)),
    ]
    assert [_status_and_message(vault, token)[0] for token in tokens] == [401, 401, 401]


def test_a_tampered_token_is_refused(vault: TestVault):
    header, _, signature = vault.token("nobody").split(".")
    _, administrators, _ = vault.token("administrator").split(".")
    assert _status_and_message(vault, f"{header}.{administrators}.{signature}") == (
        401,
        "Error validating token: IDX10511",
    )


@pytest.mark.parametrize("claim", ["aud", "iss", "iat", "nbf", "exp", "appid", "oid"])
def test_a_token_that_leaves_something_out_is_refused(vault: TestVault, claim: str):
    assert _status_and_message(vault, _signed(vault, **{claim: None}))[0] == 401


def test_a_token_is_good_from_its_beginning_to_its_end_only(vault: TestVault):
    now = int(time.time())
    early = _status_and_message(vault, _signed(vault, nbf=now + 600))
    assert early == (401, "Error validating token: IDX10223")
    assert _status_and_message(vault, _signed(vault, exp=now))[0] == 401

    token = vault.token("hasty")
    assert _status_and_message(vault, token)[0] == 200
    deadline = time.monotonic() + 30
    while (late := _status_and_message(vault, token))[0] == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert late == (401, "Error validating token: IDX10223")


@pytest.mark.parametrize(
    ("changed", "error", "code"),
    [
        ({"client_secret": "wrong"}, "invalid_client", "AADSTS7000215"),
        ({"client_secret": ""}, "invalid_client", "AADSTS7000215"),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, "unauthorized_client", "AADSTS700016"),
        ({"grant_type": "password"}, "unsupported_grant_type", "AADSTS70003"),
        ({"scope": "https://vault.azure.net"}, "invalid_scope", "AADSTS1002012"),
        ({"scope": "https://elsewhere.example/.default"}, "invalid_resource", "AADSTS500011"),
    ],
)
def test_the_login_refuses_in_entras_words(vault: TestVault, changed: dict[str, str], error: str, code: str):
    form = {
        "grant_type": "client_credentials",
        "client_id": vault.client_id("auditor"),
        "client_secret": vault.secret("auditor"),
        "scope": SCOPE,
    }
    with vault.http() as plain:
        answer = plain.post(f"{vault.authority}/{TENANT}/oauth2/v2.0/token", data={**form, **changed})
    said = answer.json()
    assert answer.status_code in {400, 401}
    assert said["error"] == error
    assert said["error_description"].startswith(f"{code}:")
    assert vault.secret("auditor") not in answer.text


def test_the_sdk_tells_a_wrong_secret_and_a_wrong_tenant(vault: TestVault):
    login = {"authority": vault.authority, "disable_instance_discovery": True, "connection_verify": str(vault.ca_file)}
    elsewhere = "99999999-7c43-4f2c-9c5e-2f1f0f3c7a10"
    for tenant, told in ((TENANT, "AADSTS7000215"), (elsewhere, "tenant")):
        with (
            ClientSecretCredential(tenant, vault.client_id("auditor"), "wrong", **login) as credential,
            pytest.raises(ClientAuthenticationError, match=told),
        ):
            credential.get_token(SCOPE)


def test_the_published_keys_verify_the_tokens(vault: TestVault):
    with vault.http() as plain:
        found = plain.get(f"{vault.authority}/{TENANT}/v2.0/.well-known/openid-configuration").json()
        keys = jwt.PyJWKSet.from_dict(plain.get(found["jwks_uri"]).json())
    token = vault.token("auditor")
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        algorithms=["RS256"],
        audience="https://vault.azure.net",
        issuer=found["issuer"],
    )
    assert (claims["appid"], claims["tid"]) == (vault.client_id("auditor"), TENANT)
    assert claims["exp"] - claims["iat"] == 3599


def test_discovery_leads_back_the_way_the_client_came(vault: TestVault):
    with vault.http() as plain:
        found = plain.get(f"https://localhost:{vault.login_port}/{TENANT}/v2.0/.well-known/openid-configuration")
    assert found.json()["token_endpoint"] == f"https://localhost:{vault.login_port}/{TENANT}/oauth2/v2.0/token"


def test_tokens_outlive_a_killed_issuer(new_vault: NewVault):
    with new_vault() as vault:
        token = vault.token()
        vault.kill()
        vault.start()
        assert _status_and_message(vault, token)[0] == 200


def test_clients_must_be_told_that_loopback_is_no_part_of_azure(vault: TestVault):
    with (
        vault.credential() as credential,
        SecretClient(vault.url, credential, connection_verify=str(vault.ca_file)) as client,
        pytest.raises(ValueError, match="verify_challenge_resource"),
    ):
        client.get_secret("any")
