"""An inbox, a deployment that no worker serves, and a stand-in for GitHub, for all tests of the package."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from prefect.client.orchestration import get_client

from replica import inventory
from steward.migrations.apply import migrate
from steward.settings import Settings, Webhooks, load
from tests.flows.prefect_server import recording_in
from tests.integration.dispatch_ground import Work, idle_deployment, rules_for
from tests.integration.fresh_database import fresh_database
from tests.integration.github_ground import StandIn, standing_in


@pytest.fixture(scope="package")
def client(replica):
    with recording_in(replica), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="package")
def target(client):
    with idle_deployment(client) as name:
        yield name


@pytest.fixture(scope="package")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Generator[StandIn]:
    with standing_in(tmp_path_factory.mktemp("github")) as made:
        yield made


@pytest.fixture
def github(standin) -> StandIn:
    """Its dials at rest."""
    standin.turn()
    return standin


@pytest.fixture(scope="package")
def settings(replica, client, standin, tmp_path_factory) -> Generator[Settings]:
    folder = tmp_path_factory.mktemp("dispatched")
    sources = {
        "ci": {"kind": "signed", "secrets": [f"file:{folder / 'ci'}"]},
        "github": {"kind": "github", "secrets": [f"file:{folder / 'github'}"], "api": standin.api()},
    }
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        webhooks = Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources})
        yield fresh.model_copy(update={"webhooks": webhooks})


@pytest.fixture
def silent(settings) -> Settings:
    """The same settings, where GitHub is not answered."""
    sources = dict(settings.webhooks.sources)
    sources["github"] = sources["github"].model_copy(update={"api": None})
    return settings.model_copy(update={"webhooks": settings.webhooks.model_copy(update={"sources": sources})})


@pytest.fixture
def work(settings, target) -> Work:
    return Work(settings, rules_for(target))
