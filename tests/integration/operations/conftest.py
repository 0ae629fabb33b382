"""A migrated database for all tests of the package, each of which begins with an empty ledger."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.migrations.apply import migrate
from steward.operations.ledger import Ledger
from steward.settings import load
from tests.integration.fresh_database import changed, fresh_database


@pytest.fixture(scope="package")
def database(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def book(database):
    book = Ledger(changed(database, "operations", lease_seconds=1.0, heartbeat_seconds=0.2))
    book.query("TRUNCATE steward.operations CASCADE")
    yield book
    book.close()
