"""Twins and a cost book for all tests of the package, each of which has a day of its own."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.cost_book.ground import ANTHROPIC, OPENAI
from tests.integration.costs_ground import a_day, begin, meddling, state
from tests.integration.fresh_database import fresh_database
from tests.integration.providers.accounts import accounts
from tests.testbed.providers.ground import running_twins


@pytest.fixture(scope="package")
def twins(tmp_path_factory):
    with running_twins(tmp_path_factory.mktemp("costs")) as running:
        yield running


@pytest.fixture(scope="package")
def book(replica, twins):
    """Settings with an empty database, whose accounts are named as no other run names them."""
    named = dict(zip((OPENAI, ANTHROPIC), accounts(twins).values(), strict=True))
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh.model_copy(update={"providers": named})


@pytest.fixture
def day(twins):
    day = a_day()
    state(twins, "openai", begin(day) + 1800, input_uncached=1000, output=10)
    state(twins, "anthropic", begin(day) + 1800, input_uncached=1000, output=10)
    return day


@pytest.fixture
def way(book):
    with meddling(book.providers[OPENAI].url) as meddler:
        changed = book.providers[OPENAI].model_copy(update={"url": meddler.url})
        meddler.settings = book.model_copy(update={"providers": {OPENAI: changed}})
        yield meddler
