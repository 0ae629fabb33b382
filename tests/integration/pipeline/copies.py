"""Databases of runs of the pipeline, as the server has them."""

from __future__ import annotations

from steward.clients.postgres import Database
from steward.settings import Settings
from tests.integration.fresh_database import superuser


def given(settings: Settings) -> Database:
    assert settings.pipeline
    told = settings.pipeline.database
    assert told
    return Database("pipeline.database", "", told.url, told.password, settings.vault)


def databases(settings: Settings) -> list[str]:
    with superuser(settings) as db:
        rows = db.execute("SELECT datname FROM pg_database WHERE datname ~ '^pipeline_[0-9]+_' ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def cut_off(settings: Settings, owner: str) -> None:
    with superuser(settings) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s",
            [f"steward {owner}"],
        )
