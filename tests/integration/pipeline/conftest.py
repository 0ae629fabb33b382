"""A server to try migrations on, as the settings of a test name it."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from replica import inventory
from steward.settings import Pipeline, PipelineDatabase, Settings, load
from tests.integration.fresh_database import superuser


@pytest.fixture(scope="module")
def role(replica, tmp_path_factory) -> Generator[tuple[str, Path]]:
    """A user who may create databases, and nothing else."""
    name, password = f"pipeline_{secrets.token_hex(4)}", "a p%ss/word@" + secrets.token_hex(8)
    file = tmp_path_factory.mktemp("role") / "password"
    file.write_text(password)
    with superuser(load(inventory.settings_file(replica))) as db:
        db.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{password}'")
    yield name, file
    with superuser(load(inventory.settings_file(replica))) as db:
        db.execute(f"DROP ROLE {name}")


@pytest.fixture
def trying(settings: Settings, role, tmp_path) -> Settings:
    name, file = role
    server = conninfo_to_dict(settings.postgres.url)
    url = f"postgresql://{name}@{server['host']}:{server['port']}/postgres"
    told = Pipeline(folder=tmp_path, database=PipelineDatabase(url=url, password=f"file:{file}"))
    return settings.model_copy(update={"pipeline": told})
