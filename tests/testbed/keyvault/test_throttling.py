"""Azure's published limits, reached for real."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import HttpResponseError

from replica.keyvault.limits import SECRET_CREATE, WINDOW_SECONDS
from tests.testbed.keyvault.both import secrets_of
from tests.testbed.keyvault.ground import NewVault

pytestmark = pytest.mark.without_search


def test_past_azures_limit_creations_are_refused_and_the_sdks_own_patience_succeeds(new_vault: NewVault):
    with new_vault() as vault:
        with vault.http(vault.token()) as plain, ThreadPoolExecutor(8) as pool:
            statuses = list(
                pool.map(
                    lambda number: plain.put(f"/secrets/s{number}", json={"value": "x"}).status_code,
                    range(SECRET_CREATE.limit + 5),
                )
            )
            refused = plain.put("/secrets/late", json={"value": "x"})
            # Reading has a limit of its own.
            assert plain.get("/secrets/s0").status_code == 200
        assert statuses.count(200) == SECRET_CREATE.limit
        assert statuses.count(429) == 5
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "Throttled"
        assert refused.json()["error"]["message"].endswith("Reason: VaultRequestTypeLimitReached")
        assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_SECONDS

        with secrets_of(vault, "sync", retry_total=0) as impatient, pytest.raises(HttpResponseError) as told:
            impatient.set_secret("late", "x")
        assert told.value.status_code == 429
        with secrets_of(vault, "sync") as patient:
            patient.set_secret("late", "x")
            assert patient.get_secret("late").value == "x"
