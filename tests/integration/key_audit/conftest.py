"""Audited ground for all tests of the package: every kind of drift is planted there, on real servers."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.settings import load
from tests.integration.audit_ground import audited_ground


@pytest.fixture(scope="package")
def shared(replica, tmp_path_factory):
    """One for the tests that leave it as they found it."""
    with audited_ground(load(inventory.settings_file(replica)), tmp_path_factory.mktemp("audit")) as ground:
        yield ground


@pytest.fixture
def ground(shared):
    """With a keyring of the test's own."""
    with shared.cloned() as ground:
        yield ground
