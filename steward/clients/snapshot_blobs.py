"""What is on record of a repository's blobs, of which blobs snapshots consist, and where their copies are: in PostgreSQL.

A manifest is trusted once its night is VERIFIED in the catalogue of nights, and not by anything that is written here: so
no night that was refuted, or never came to a verdict, is ever what a later one is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any

from steward.clients import snapshot_blobs_sql as sql
from steward.clients.postgres import Connection
from steward.errors import StewardError
from steward.repository import manifest as manifests
from steward.repository.comparing import KeptManifest, is_immutable
from steward.repository.copying import Copied
from steward.repository.due import Known
from steward.repository.hashing import Reading
from steward.repository.manifest import Manifest

#: For how long what a night read counts that came to no verdict.
NOTED_DAYS = 7


class ManifestAbsent(StewardError):
    """There is no manifest of the snapshot on record: its blobs were not all read, or not all right."""


def manifest_of(connection: Connection, cluster: str, snapshot: str) -> Manifest:
    """Of which blobs *snapshot* consists, whatever its night came to. ManifestAbsent, ManifestUnreadable."""
    row = connection.execute(sql.BODY, {"cluster": cluster, "snapshot": snapshot}).fetchone()
    if row is None:
        raise ManifestAbsent(
            f"there is no manifest of {snapshot} of cluster {cluster} on record",
            hint="read what the night's step `check blobs` found: only a snapshot whose blobs are all right has one",
        )
    return manifests.read(row[0])


def copies_of(connection: Connection, repository_uuid: str) -> dict[str, Copied]:
    """What is known of each blob's copy, by path."""
    rows = connection.execute(sql.COPIES, {"repository": repository_uuid})
    return {path: Copied(size, sha256, version, until) for path, size, sha256, version, until in rows}


def keep_copies(connection: Connection, repository_uuid: str, copied: Mapping[str, Copied]) -> None:
    """Keep what was copied, or whose lock was renewed. The caller fences and commits."""
    values = {
        "repository": repository_uuid,
        "paths": list(copied),
        "bytes": [each.bytes for each in copied.values()],
        "digests": [each.sha256 for each in copied.values()],
        "versions": [each.version for each in copied.values()],
        "locked": [each.locked_until for each in copied.values()],
    }
    connection.execute(sql.KEEP_COPIES, values)


def forget_copies(connection: Connection, repository_uuid: str, paths: Iterable[str]) -> None:
    """Copies that are gone, or were found to be wrong. The caller fences and commits."""
    connection.execute(sql.FORGET_COPIES, {"repository": repository_uuid, "paths": list(paths)})


@dataclass(frozen=True)
class BlobRecord:
    """The record of one cluster's repository, for one night. Satisfies `steward.snapshots.blob_record.Record`."""

    connect: Callable[[], AbstractContextManager[Connection]]
    """Each call is one transaction."""
    fence: Callable[[Connection], None]
    """Lets a transaction commit only as the current holder's."""
    cluster: str
    repository: str
    night: date
    by: str
    """What belongs together: an interrupted try, and the one that takes it up."""

    def take_up(self) -> None:
        """Give the blobs of manifests that have become VERIFIED their nights; forget what only expired snapshots had.

        Not fenced, for it may last longer than a lease: whoever does it does the same, once.
        """
        with self.connect() as connection:
            connection.execute(sql.PATIENCE)
            rows = connection.execute(sql.TO_TAKE_UP, self._keys).fetchall()
            for snapshot, night, uuid, body in rows:
                _take_up(connection, uuid, night, manifests.read(body))
                connection.execute(sql.TAKEN_UP, {"cluster": self.cluster, "snapshot": snapshot})
            for statement in (sql.FORGET_EXPIRED, sql.FORGET_UNTRUSTED, sql.FORGET_BLOBS):
                connection.execute(statement, self._keys)

    def manifests(self) -> list[KeptManifest]:
        """Of VERIFIED snapshots that have not expired, oldest first."""
        with self.connect() as connection:
            return [KeptManifest(*row) for row in connection.execute(sql.MANIFESTS, self._keys)]

    def known(self, repository_uuid: str) -> dict[str, Known]:
        """Every blob of a VERIFIED snapshot that keeps its name and bytes, by path."""
        with self.connect() as connection:
            rows = connection.execute(sql.KNOWN, {"repository": repository_uuid})
            return {row[0]: Known(*row) for row in rows}

    def noted(self, repository_uuid: str) -> dict[str, Reading]:
        """What this night read before it was interrupted, and others lately that were not REFUTED: a first reading may take several."""
        values = {**self._keys, "uuid": repository_uuid, "days": NOTED_DAYS}
        with self.connect() as connection:
            self.fence(connection)
            connection.execute(sql.FORGET_NOTES, values)
            return {row[0]: Reading(*row) for row in connection.execute(sql.NOTED, values)}

    def note(self, repository_uuid: str, new: list[Reading], confirmed: list[str]) -> None:
        """What was read tonight."""
        values = {
            "repository": repository_uuid,
            "night": self.night,
            "by": self.by,
            "paths": [each.path for each in new],
            "bytes": [each.bytes for each in new],
            "digests": [each.sha256 for each in new],
            "confirmed": confirmed,
        }
        with self.connect() as connection:
            self.fence(connection)
            connection.execute(sql.NOTE, values)
            connection.execute(sql.CONFIRM, values)

    def verified(self) -> dict[str, date]:
        """The night of each VERIFIED snapshot that no expiry of ours took and no other report tells to be gone."""
        with self.connect() as connection:
            return dict(connection.execute(sql.VERIFIED, self._keys).fetchall())

    def tell_gone(self, snapshots: list[str]) -> None:
        """Tonight's report tells of them."""
        with self.connect() as connection:
            self.fence(connection)
            connection.execute(sql.TELL_GONE, {**self._keys, "snapshots": snapshots})

    def needed(self, paths: set[str], snapshots: set[str]) -> set[str]:
        """Which of *paths* the manifest of one of *snapshots* lists."""
        return {path for _, found in self._listing(paths, snapshots) for path in found}

    def needing(self, paths: set[str], snapshots: set[str]) -> dict[str, list[str]]:
        """Those of *snapshots* that need each of *paths* by their manifests, oldest first."""
        told: dict[str, list[str]] = {}
        for snapshot, found in self._listing(paths, snapshots):
            for path in found:
                told.setdefault(path, []).append(snapshot)
        return told

    def _listing(self, paths: set[str], snapshots: set[str]) -> Iterator[tuple[str, set[str]]]:
        """Each of *snapshots* that is VERIFIED, and which of *paths* it needs. One manifest is in memory at a time."""
        if not paths:
            return
        for kept in (each for each in self.manifests() if each.snapshot in snapshots):
            with self.connect() as connection:
                manifest = manifest_of(connection, self.cluster, kept.snapshot)
            yield kept.snapshot, {entry.path for entry in manifest.entries} & paths

    def keep(self, manifest: Manifest, blob_bytes: int) -> None:
        """Tonight's."""
        values = {
            **self._keys,
            "snapshot": manifest.snapshot,
            "snapshot_uuid": manifest.snapshot_uuid,
            "uuid": manifest.repository,
            "generation": manifest.generation,
            "entries": len(manifest.entries),
            "bytes": blob_bytes,
            "sha256": manifest.digest(),
            "body": manifest.body(),
        }
        with self.connect() as connection:
            self.fence(connection)
            connection.execute(sql.KEEP, values)

    @property
    def _keys(self) -> dict[str, Any]:
        return {"cluster": self.cluster, "repository": self.repository, "night": self.night, "by": self.by}


def _take_up(connection: Connection, repository_uuid: str, night: date, manifest: Manifest) -> None:
    """Its blobs have been there since *night*, or are there again; those that it does not list were there until the night before."""
    connection.execute(sql.LISTED)
    with connection.cursor().copy("COPY listed_blobs (path, bytes, sha256) FROM STDIN") as copy:
        for entry in manifest.entries:
            if is_immutable(entry.path):
                copy.write_row((entry.path, entry.bytes, entry.sha256))
    values = {"repository": repository_uuid, "night": night}
    for statement in ("ANALYZE listed_blobs", sql.BEGIN, sql.END, "DROP TABLE listed_blobs"):
        connection.execute(statement, values)
