"""What was acknowledged of a key is there and works, whatever kills the process."""

from __future__ import annotations

import hashlib
import random
from base64 import urlsafe_b64decode

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from replica.keyvault.contract import encode
from tests.testbed.keyvault.ground import NewVault
from tests.testbed.keyvault.writers import Writers

pytestmark = pytest.mark.without_search

_ROUNDS = 4
DIGEST = hashlib.sha256(b"what is signed").digest()


class _Rotating(Writers[str, dict[str, str]]):
    """Keys, created and rotated."""

    def write(self, client, writer, number):
        # Three names for all writers: they create and rotate the same keys at once.
        path = f"/keys/{self.prefix}-{(writer + number) % 3}"
        self._acknowledge(client.post(f"{path}/create", json={"kty": "EC"}))
        self._acknowledge(client.post(f"{path}/rotate"))

    def _acknowledge(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text
        key = answer.json()["key"]
        self.remember(key["kid"], key)


def test_every_acknowledged_version_outlives_kill_nine_and_still_signs(new_vault: NewVault):
    chance = random.Random(11)
    acknowledged: dict[str, dict[str, str]] = {}
    with new_vault(limits_factor=1000) as vault:
        token = vault.token()
        for turn in range(_ROUNDS):
            writers = _Rotating(vault, token, f"r{turn}", enough=chance.randint(1, 60))
            writers.start()
            assert writers.enough.wait(60)
            vault.kill()
            writers.join()
            acknowledged |= writers.acknowledged
            vault.start()
        with vault.http(token) as http:
            for kid, key in acknowledged.items():
                path = kid.removeprefix(vault.url)
                assert http.get(path).json()["key"] == key
                signed = http.post(f"{path}/sign", json={"alg": "ES256", "value": encode(DIGEST)})
                assert_signed_by(key, signed.json()["value"])


def test_a_kill_leaves_each_key_with_one_newest_version_that_is_among_its_versions(new_vault: NewVault):
    with new_vault(limits_factor=1000) as vault:
        token = vault.token()
        writers = _Rotating(vault, token, "k", enough=40)
        writers.start()
        assert writers.enough.wait(60)
        vault.kill()
        writers.join()
        vault.start()
        with vault.http(token) as http:
            for item in http.get("/keys").json()["value"]:
                path = item["kid"].removeprefix(vault.url)
                newest = http.get(path).json()
                versions = listed(http, path)
                assert newest["key"]["kid"] in {version["kid"] for version in versions}
                assert newest["attributes"]["created"] == max(each["attributes"]["created"] for each in versions)


def test_changes_policies_and_deletions_of_keys_outlive_a_kill(new_vault: NewVault):
    policy = {"attributes": {"expiryTime": "P90D"}}
    with new_vault() as vault:
        token = vault.token()
        with vault.http(token) as http:
            for name in ("changed", "deleted", "purged"):
                assert http.post(f"/keys/{name}/create", json={"kty": "EC"}).status_code == 200
            assert http.put("/keys/changed/rotationpolicy", json=policy).status_code == 200
            assert http.patch("/keys/changed", json={"key_ops": ["verify"]}).status_code == 200
            for name in ("deleted", "purged"):
                assert http.delete(f"/keys/{name}").status_code == 200
            assert http.delete("/deletedkeys/purged").status_code == 204
        vault.kill()
        vault.start()
        with vault.http(token) as http:
            assert http.get("/keys/changed").json()["key"]["key_ops"] == ["verify"]
            assert http.get("/keys/changed/rotationpolicy").json()["attributes"]["expiryTime"] == "P90D"
            assert http.get("/deletedkeys/deleted").status_code == 200
            assert http.get("/deletedkeys/purged").status_code == 404


def assert_signed_by(key: dict[str, str], signature: str) -> None:
    x, y, signed = (urlsafe_b64decode(text + "==") for text in (key["x"], key["y"], signature))
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    der = utils.encode_dss_signature(int.from_bytes(signed[:32]), int.from_bytes(signed[32:]))
    numbers.public_key().verify(der, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def listed(http: httpx.Client, path: str) -> list[dict]:
    items, address = [], f"{path}/versions?api-version=7.6"
    while address:
        page = http.get(httpx.URL(address), params=None if "?" in address else {}).json()
        items += page["value"]
        address = page["nextLink"]
    return items
