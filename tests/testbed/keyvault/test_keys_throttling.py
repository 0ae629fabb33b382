"""Azure's limits on keys, reached for real: they go by the kind of key, and using keys has a limit of its own."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyClient

from replica.keyvault.limits import WINDOW_SECONDS, key_create
from tests.testbed.keyvault.ground import NewVault

pytestmark = pytest.mark.without_search

SOFTWARE = key_create("EC P-256", hsm=False).limit
HARDWARE = key_create("EC P-256", hsm=True).limit


def test_past_azures_limit_no_key_is_made_or_rotated_while_those_there_go_on_working(new_vault: NewVault):
    with new_vault() as vault, vault.http(vault.token()) as http:
        made = [http.post(f"/keys/k{number}/create", json={"kty": "EC"}).status_code for number in range(SOFTWARE)]
        assert made == [200] * SOFTWARE
        for refused in (
            http.post("/keys/late/create", json={"kty": "EC"}),
            http.post("/keys/k0/rotate"),
            http.put("/keys/late", json={"key": {"kty": "oct", "k": "A" * 43}}),
        ):
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "Throttled")
            assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_SECONDS
        assert http.get("/keys/k0").status_code == 200
        assert http.post("/keys/k0/sign", json={"alg": "ES256", "value": "A" * 43}).status_code == 200
        with vault.client(KeyClient, retry_total=0) as impatient, pytest.raises(HttpResponseError) as told:
            impatient.create_ec_key("late")
        assert told.value.status_code == 429


def test_hardware_keys_and_software_keys_take_shares_of_the_same_limit(new_vault: NewVault):
    with new_vault() as vault, vault.http(vault.token()) as http:
        asked = ["EC-HSM"] * (HARDWARE // 2) + ["EC"] * (SOFTWARE // 2) + ["EC-HSM", "EC"]
        made = [http.post(f"/keys/k{number}/create", json={"kty": kty}).status_code for number, kty in enumerate(asked)]
    assert made == [200] * (len(asked) - 2) + [429, 429]
