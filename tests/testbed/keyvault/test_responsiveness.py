"""Heavy work for one caller does not keep the others waiting."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from tests.testbed.keyvault.ground import TestVault

pytestmark = pytest.mark.without_search


def test_others_are_served_while_large_keys_are_made(vault: TestVault, unused_name: str):
    def create(number: int) -> int:
        with vault.http(vault.token()) as plain:
            body = {"kty": "RSA", "key_size": 4096}
            return plain.post(f"/keys/{unused_name}-{number}/create", json=body, timeout=60).status_code

    with ThreadPoolExecutor(4) as pool, vault.http(vault.token()) as plain:
        pending = {pool.submit(create, number) for number in range(4)}
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        assert plain.get("/secrets").status_code == 200
        assert any(not future.done() for future in pending)
        assert {future.result() for future in done | pending} == {200}
