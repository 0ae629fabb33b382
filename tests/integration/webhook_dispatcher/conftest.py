"""An inbox, a deployment that no worker serves, and a stand-in for GitHub, for all tests of the package."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from prefect.client.orchestration import get_client

from replica import inventory
from steward.migrations.apply import migrate
from steward.settings import GitHubApi, Settings, load
from tests.flows.prefect_server import recording_in
from tests.integration.dispatch_ground import Work, idle_deployment, rules_for
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.github_ground import StandIn, standing_in
from tests.integration.webhooks_ground import with_sources


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
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield _answering(with_sources(fresh, folder), standin.api())


@pytest.fixture
def silent(settings) -> Settings:
    """The same settings, where GitHub is not answered."""
    return _answering(settings, None)


@pytest.fixture
def work(settings, target) -> Work:
    return Work(settings, rules_for(target))


def _answering(settings: Settings, api: GitHubApi | None) -> Settings:
    sources = settings.webhooks.sources
    answering = sources | {"github": sources["github"].model_copy(update={"api": api})}
    return changed(settings, "webhooks", sources=answering)
