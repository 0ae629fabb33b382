"""Flags to begin with, and a database of their own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from steward.clients.flag_store import StoredFlag, change_flag
from steward.clients.postgres import connect
from steward.flags.model import Flag
from steward.migrations.apply import migrate
from steward.migrations.guests import FLAGS_APPLICATION
from steward.settings import Settings
from tests.integration.fresh_database import fresh_database

WHO = "ada"


@contextmanager
def flags_database(settings: Settings) -> Generator[Settings]:
    """A fresh database with the schema of flags."""
    with fresh_database(settings) as fresh:
        migrate(fresh)
        yield fresh


def new_flag(key: str = "", **fields: object) -> Flag:
    """On for a quarter of users, under a key of its own."""
    key = key or f"feature-{secrets.token_hex(4)}"
    return Flag(key=key, variants={"on": True, "off": False}, off="off", **fields).exposing(25, "on")


def stored(settings: Settings, flag: Flag, *, epoch: int | None = None) -> StoredFlag:
    """Made as its first version."""
    with connect(settings) as connection:
        return change_flag(connection, flag, who=WHO, why="to begin with", expected_version=0, epoch=epoch)


def soon(seconds: float = 60) -> int:
    """Unix seconds."""
    return int(time.time() + seconds)


@contextmanager
def as_application(settings: Settings) -> Generator[psycopg.Connection]:
    """As whom applications count outcomes: one transaction."""
    with application_connection(settings) as connection:
        yield connection


def application_connection(settings: Settings) -> psycopg.Connection:
    """Whoever opens it closes it."""
    secret = Path(settings.postgres.password.removeprefix("file:")).with_name(f"postgres.{FLAGS_APPLICATION}")
    server = conninfo_to_dict(settings.postgres.url)
    return psycopg.connect(
        host=server["host"],
        port=server["port"],
        user=FLAGS_APPLICATION,
        password=secret.read_text().strip(),
        dbname=server["dbname"],
    )
