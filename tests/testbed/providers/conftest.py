from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.testbed.providers.ground import Twins


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Twins]:
    twins = Twins(tmp_path_factory.mktemp("providers"))
    twins.start()
    try:
        yield twins
    finally:
        twins.kill()


@pytest.fixture
def twins(running: Twins) -> Twins:
    """The twins as they are at first, but for what they have on record. Limits are off unless a test sets them."""
    running.admin("POST", "/begin-anew")
    running.admin("PUT", "/limits", {"mode": "off"})
    return running
