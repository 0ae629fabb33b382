"""Vaults for tests, and what clients hold of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.keyvault.keys import KeyVaultKey

from tests.testbed.keyvault.ground import NewVault, TestVault, running
from tests.testbed.keyvault.key_clients import Keys, open_keys


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestVault]:
    """One vault for most tests: names of objects must be each test's own. Its limits are a thousand times Azure's."""
    with running(tmp_path_factory.mktemp("vault"), limits_factor=1000) as vault:
        yield vault


@pytest.fixture
def new_vault(tmp_path: Path) -> NewVault:
    """`with new_vault(retention_days=7) as vault`: a vault of the test's own, at Azure's limits unless told otherwise."""
    count = iter(range(100))
    return lambda **more: running(tmp_path / f"vault-{next(count)}", **more)


@pytest.fixture
def unused_name(request: pytest.FixtureRequest) -> str:
    """A name of the test's own."""
    return f"t{uuid.uuid4().hex[:16]}"


@pytest.fixture(scope="module", params=["sync", "aio"])
def keys(request: pytest.FixtureRequest, vault: TestVault) -> Generator[Keys]:
    with open_keys(vault, request.param) as opened:
        yield opened


@pytest.fixture(scope="session")
def made() -> dict[str, KeyVaultKey]:
    """By kind. Of both SDKs, for they are the vault's: a large one takes a second to make."""
    return {}


@pytest.fixture(scope="module")
def shared(keys: Keys, made: dict[str, KeyVaultKey]) -> Callable[..., KeyVaultKey]:
    """A key of a kind, one for all tests that only use it."""

    def obtain(kind: str, **options: Any) -> KeyVaultKey:
        wanted = f"{kind} {options}"
        if wanted not in made:
            made[wanted] = keys.create_key(f"shared-{uuid.uuid4().hex}", kind, **options)
        return made[wanted]

    return obtain


@pytest.fixture(scope="module")
def http(vault: TestVault) -> Generator[httpx.Client]:
    with vault.http(vault.token()) as client:
        yield client


@pytest.fixture(scope="module")
def rsa_path(http: httpx.Client) -> str:
    """Where an RSA key is."""
    path = f"/keys/plain-{uuid.uuid4().hex}"
    http.post(f"{path}/create", json={"kty": "RSA"})
    return path
