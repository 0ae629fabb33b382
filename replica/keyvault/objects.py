"""The objects of one kind inside one transaction: versions, soft delete, pages.

An object is live, or deleted and recoverable until it is purged by hand or by time; while a deletion or a recovery is
coming through it is neither, as in Azure, where that takes some seconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from replica.keyvault import errors
from replica.keyvault.records import Attributes, Content, Deleted, Deletion, History, Kind, Version

_DAY_SECONDS = 86_400
_DIGESTED = ("version", "material", "details", "tags", "enabled", "not_before", "expires", "created", "updated")
_VERSION = (
    "o.name, v.version, v.material, v.details, v.tags, v.enabled, v.not_before, v.expires, v.created, v.updated, "
    "v.digest, o.deleted_at, o.purge_at"
)
_CURRENT = "FROM objects o JOIN versions v ON v.object = o.id AND v.version = o.current WHERE o.kind = :kind"
_ANY = "FROM objects o JOIN versions v ON v.object = o.id WHERE o.kind = :kind"
_LIVE = "o.deleted_at IS NULL AND o.settles_at <= :now"
_DELETED = "o.deleted_at IS NOT NULL AND o.settles_at <= :now AND o.purge_at > :now"


class StoreDamaged(Exception):
    """The disk gave back something else than was written: never served, for a wrong key is worse than none."""


class Objects:
    """Made by `Store.reading` and `Store.writing`; used in their block only."""

    def __init__(self, connection: sqlite3.Connection, kind: Kind, now: float, transition_seconds: float) -> None:
        self._connection, self.kind = connection, kind
        self._now, self._transition_seconds = now, transition_seconds

    # Reading

    def get(self, name: str, version: str = "") -> Version:
        """That version of a live object, the newest where *version* is empty; Refusal 404."""
        if version:
            row = self._row(
                f"{_VERSION} {_ANY} AND o.name = :name AND v.version = :version AND {_LIVE}", name=name, version=version
            )
        else:
            row = self._row(f"{_VERSION} {_CURRENT} AND o.name = :name AND {_LIVE}", name=name)
        if row is None:
            raise errors.not_found(self.kind, name, version)
        return self._version(row)

    def deleted(self, name: str) -> Deleted:
        """A deleted object; Refusal 404 where there is none of that name, or its deletion is not through."""
        row = self._row(f"{_VERSION} {_CURRENT} AND o.name = :name AND {_DELETED}", name=name)
        if row is None:
            raise errors.deleted_not_found(self.kind, name)
        return self._deleted(row)

    def details(self, name: str) -> dict[str, Any]:
        """What is kept for the object as a whole (a key's rotation policy); Refusal 404."""
        row = self._row(f"o.details FROM objects o WHERE o.kind = :kind AND o.name = :name AND {_LIVE}", name=name)
        if row is None:
            raise errors.not_found(self.kind, name)
        return dict(json.loads(row["details"]))

    def page(self, after: str, most: int) -> list[Version]:
        """The newest version of up to *most* live objects whose names come after *after*."""
        rows = self._rows(
            f"{_VERSION} {_CURRENT} AND o.name > :after AND {_LIVE} ORDER BY o.name LIMIT :most", after=after, most=most
        )
        return [self._version(row) for row in rows]

    def page_of_versions(self, name: str, after: str, most: int) -> list[Version]:
        """Versions of a live object, in the order of their identifiers as Azure lists them; none for an unknown name."""
        rows = self._rows(
            f"{_VERSION} {_ANY} AND o.name = :name AND v.version > :after AND {_LIVE} ORDER BY v.version LIMIT :most",
            name=name,
            after=after,
            most=most,
        )
        return [self._version(row) for row in rows]

    def page_of_deleted(self, after: str, most: int) -> list[Deleted]:
        """Deleted objects, by name."""
        rows = self._rows(
            f"{_VERSION} {_CURRENT} AND o.name > :after AND {_DELETED} ORDER BY o.name LIMIT :most",
            after=after,
            most=most,
        )
        return [self._deleted(row) for row in rows]

    def history(self, name: str) -> History:
        """A live object with all its versions, oldest first; Refusal 404."""
        details = self.details(name)
        rows = self._rows(f"{_VERSION} {_ANY} AND o.name = :name AND {_LIVE} ORDER BY v.sequence", name=name)
        versions = tuple(self._version(row) for row in rows)
        return History(self.kind, versions[-1].name, details, versions)

    # Writing: in `Store.writing` only

    def add(self, name: str, content: Content) -> Version:
        """A new newest version, and the object with it where there is none; Refusal 409 while the name is in deletion."""
        self._refuse_unsettled(name)
        now = int(self._now)
        made = Version(self.kind, name, uuid.uuid4().hex, content, now, now)
        self._insert(self._object(name, made.version), made)
        return self.get(name, made.version)

    def change(self, changed: Version) -> Version:
        """Keep *changed* (a version with `dataclasses.replace`d content) and when it was changed; Refusal 404."""
        self.get(changed.name, changed.version)
        values = self._values(dataclasses.replace(changed, updated=int(self._now)))
        self._connection.execute(
            "UPDATE versions SET material = :material, details = :details, tags = :tags, enabled = :enabled, "
            "not_before = :not_before, expires = :expires, updated = :updated, digest = :digest WHERE version = :version AND object = "
            "(SELECT id FROM objects WHERE kind = :kind AND name = :name)",
            values,
        )
        return self.get(changed.name, changed.version)

    def keep_details(self, name: str, details: Mapping[str, Any]) -> None:
        """Replace what is kept for the object as a whole; Refusal 404."""
        self.details(name)
        self._connection.execute(
            "UPDATE objects SET details = ? WHERE kind = ? AND name = ?", [json.dumps(details), self.kind, name]
        )

    def delete(self, name: str, retention_days: int) -> Deleted:
        """Softly; Refusal 404. What it answers is there at once, `deleted` only when the deletion is through."""
        version = self.get(name)
        deletion = Deletion(int(self._now), int(self._now) + retention_days * _DAY_SECONDS)
        self._connection.execute(
            "UPDATE objects SET deleted_at = ?, purge_at = ?, settles_at = ? WHERE kind = ? AND name = ?",
            [deletion.deleted_at, deletion.purge_at, self._now + self._transition_seconds, self.kind, name],
        )
        return Deleted(version, deletion)

    def recover(self, name: str) -> Version:
        """Back with all its versions; Refusal 404, or 409 while its deletion is coming through."""
        self._refuse_in_deletion(name)
        version = self.deleted(name).version
        self._connection.execute(
            "UPDATE objects SET deleted_at = NULL, purge_at = NULL, settles_at = ? WHERE kind = ? AND name = ?",
            [self._now + self._transition_seconds, self.kind, name],
        )
        return version

    def purge(self, name: str) -> None:
        """Gone with all its versions; Refusal 404, or 409 while its deletion is coming through."""
        self._refuse_in_deletion(name)
        self.deleted(name)
        self._connection.execute("DELETE FROM objects WHERE kind = ? AND name = ?", [self.kind, name])

    def restore(self, history: History) -> Version:
        """All versions with their identifiers and times; Refusal 409 where the name is taken, deleted or not."""
        self._refuse_unsettled(history.name)
        if self._state(history.name) is not None:
            raise errors.name_taken(self.kind, history.name)
        newest = history.versions[-1]
        identity = self._object(history.name, newest.version)
        for version in history.versions:
            self._insert(identity, version)
        self.keep_details(history.name, history.details)
        return self.get(history.name)

    # Rows

    def _object(self, name: str, current: str) -> int:
        row = self._connection.execute(
            "INSERT INTO objects (kind, name, current, details) VALUES (?, ?, ?, '{}') "
            "ON CONFLICT (kind, name) DO UPDATE SET current = excluded.current RETURNING id",
            [self.kind, name, current],
        ).fetchone()
        return int(row["id"])

    def _insert(self, identity: int, version: Version) -> None:
        self._connection.execute(
            "INSERT INTO versions (object, version, material, details, tags, enabled, not_before, expires, created, updated, "
            "digest) VALUES (:object, :version, :material, :details, :tags, :enabled, :not_before, :expires, :created, "
            ":updated, :digest)",
            {"object": identity, **self._values(version)},
        )

    def _values(self, version: Version) -> dict[str, Any]:
        content, attributes = version.content, version.attributes
        values = {
            "kind": self.kind,
            "name": version.name,
            "version": version.version,
            "material": content.material,
            "details": json.dumps(content.details),
            "tags": None if content.tags is None else json.dumps(content.tags),
            "enabled": attributes.enabled,
            "not_before": attributes.not_before,
            "expires": attributes.expires,
            "created": version.created,
            "updated": version.updated,
        }
        return {**values, "digest": _digest(values)}

    def _version(self, row: sqlite3.Row) -> Version:
        if row["digest"] != _digest({name: row[name] for name in _DIGESTED}):
            # The text names no value: it reaches the server's log.
            raise StoreDamaged(f"a version of {self.kind} {row['name']} is not what was written")
        content = Content(
            material=bytes(row["material"]),
            details=dict(json.loads(row["details"])),
            tags=None if row["tags"] is None else dict(json.loads(row["tags"])),
            attributes=Attributes(bool(row["enabled"]), row["not_before"], row["expires"]),
        )
        return Version(self.kind, row["name"], row["version"], content, row["created"], row["updated"])

    def _deleted(self, row: sqlite3.Row) -> Deleted:
        return Deleted(self._version(row), Deletion(row["deleted_at"], row["purge_at"]))

    def _state(self, name: str) -> sqlite3.Row | None:
        return self._row(
            "o.deleted_at, o.settles_at > :now AS unsettled FROM objects o WHERE o.kind = :kind AND o.name = :name",
            name=name,
        )

    def _refuse_in_deletion(self, name: str) -> None:
        state = self._state(name)
        if state is not None and state["deleted_at"] is not None and state["unsettled"]:
            raise errors.being_deleted(self.kind, name)

    def _refuse_unsettled(self, name: str) -> None:
        self._refuse_in_deletion(name)
        state = self._state(name)
        if state is not None and state["deleted_at"] is not None:
            raise errors.name_in_deletion(self.kind, name)
        if state is not None and state["unsettled"]:
            raise errors.being_recovered(self.kind, name)

    def _row(self, query: str, **values: str | int) -> sqlite3.Row | None:
        return next(iter(self._rows(query, **values)), None)

    def _rows(self, query: str, **values: str | int) -> Sequence[sqlite3.Row]:
        # Nothing of *query* is a caller's: every value is bound.
        return self._connection.execute(
            f"SELECT {query}",
            {**values, "kind": self.kind, "now": self._now},
        ).fetchall()


def _digest(values: Mapping[str, Any]) -> bytes:
    """Over what was written, so that a flipped bit is found when it is read."""
    written = [values[name].hex() if name == "material" else values[name] for name in _DIGESTED]
    return hashlib.sha256(
        json.dumps([int(each) if isinstance(each, bool) else each for each in written]).encode()
    ).digest()
