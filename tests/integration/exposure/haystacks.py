"""Where a secret could have been left: tables, the files of a replica, what PostgreSQL wrote ahead, objects."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from psycopg import sql

from replica.server import Place
from replica.servers.redis_nodes import NODES
from steward.clients.s3 import _client
from steward.settings import Settings
from tests.integration.exposure.scanning import Haystack
from tests.integration.fresh_database import superuser

_PASSWORDS, _NUMBERS, _KEYS = {"password"}, {"private number", "private key"}, {"private key"}
_PROVIDER_KEYS = {"provider key"}
#: The one kind of secret that each of these is there to keep, by its path in the replica's folder; 0600, or closed by its
#: folder. Everything else is looked for in these too.
KEPT: Mapping[str, set[str]] = {
    # A key of an App at GitHub among them.
    "secrets": _PASSWORDS | _PROVIDER_KEYS | _NUMBERS,
    "environment": _PASSWORDS,
    "programs": _PASSWORDS,
    "s3/identities.json": _PASSWORDS,
    "certificates": _KEYS,
    "keys/evidence.key": _NUMBERS,
    "keyvault/vault/vault.db": _NUMBERS | _PROVIDER_KEYS,
    "keyvault/vault/vault.db-wal": _NUMBERS | _PROVIDER_KEYS,
    "keyvault/vault/issuer.key": _NUMBERS,
    "keyvault/vault/seal.key": _NUMBERS,
    # The password by which a node asks its master for the data: Redis takes it from its configuration alone.
    **{f"{node}/redis.conf": _PASSWORDS for node in NODES},
}
#: Read as tables, and below as what was written ahead; the data of other tests are none of ours.
_DATABASE_FILES = "postgres/data"


def tables(settings: Settings, database: str, *, name: str) -> Iterator[Haystack]:
    """Every table of *database*, as COPY gives it in binary: text and JSON as they are, bytea as the bytes."""
    query = (
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
    )
    with superuser(settings, database) as connection:
        found = connection.execute(query).fetchall()
    for schema, table in found:
        yield Haystack(f"database {name}, table {schema}.{table}", partial(_copied, settings, database, schema, table))


def _copied(settings: Settings, database: str, schema: str, table: str) -> bytes:
    statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT binary)").format(sql.Identifier(schema, table))
    with superuser(settings, database) as connection, connection.cursor().copy(statement) as copy:
        return b"".join(copy)


def written_ahead(place: Place, since: float) -> Iterator[Haystack]:
    """What PostgreSQL has logged of every change since then: what was there for a moment is in it, too."""
    folder = place.state / _DATABASE_FILES / "pg_wal"
    for path in _files(folder):
        if path.stat().st_mtime >= since:
            yield Haystack(f"write-ahead log {path.name}", path.read_bytes, text=False)


def files(folder: Path, *, name: str, kept: Mapping[str, set[str]] = KEPT) -> Iterator[Haystack]:
    """All below *folder*: logs of every server, what workers printed, stored results, volumes of the object store."""
    for path in _files(folder):
        inside = path.relative_to(folder).as_posix()
        if inside.startswith(f"{_DATABASE_FILES}/"):
            continue
        allowed = {
            kind for where, kinds in kept.items() if inside == where or inside.startswith(f"{where}/") for kind in kinds
        }
        yield Haystack(f"{name}, file {inside}", path.read_bytes, text=_is_text(path), kept=allowed)


def _files(folder: Path) -> Iterator[Path]:
    # Sockets and what is gone meanwhile are no files.
    for path, _, names in os.walk(folder):
        yield from (
            each for each in (Path(path) / name for name in sorted(names)) if each.is_file() and not each.is_symlink()
        )


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)


def objects(settings: Settings, bucket: str, since: float) -> Iterator[Haystack]:
    """Every version of every object that was put since then."""
    client = _client(settings.objects, settings.vault)
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in page.get("Versions", []):
                if each["LastModified"].timestamp() >= since - 1:
                    what = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
                    yield Haystack(
                        f"bucket {bucket}, object {each['Key']}", lambda w=what: client.get_object(**w)["Body"].read()
                    )
    finally:
        client.close()
