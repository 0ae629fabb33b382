from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.testbed.providers.ground import Twins, running_twins


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Twins]:
    with running_twins(tmp_path_factory.mktemp("providers")) as twins:
        yield twins


@pytest.fixture
def twins(running: Twins) -> Twins:
    """The twins as they are at first, but for what they have on record. Limits are off unless a test sets them."""
    running.admin("POST", "/begin-anew")
    running.admin("PUT", "/limits", {"mode": "off"})
    return running
