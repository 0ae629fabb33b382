"""A receiver over real HTTP, before a real inbox, for all tests of the package."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.fresh_database import fresh_database
from tests.integration.webhooks_ground import receiver, with_sources

MOST = 65_536


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("webhooks")


@pytest.fixture(scope="package")
def settings(replica, folder):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield with_sources(fresh, folder, most_bytes=MOST)


@pytest.fixture(scope="package")
def server(settings, folder):
    with receiver(settings, folder) as running:
        yield running
