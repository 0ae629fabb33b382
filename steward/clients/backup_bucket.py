"""The bucket for backups of the keyring: versioned or not, and without Object Lock, since what is in it must go in time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from steward.clients.before_writing import BeforeWrite, in_context_of_opening
from steward.clients.s3 import LockedBucket, ObjectMissing, _ask, _client, _code, _in_words
from steward.clients.s3_locks import has_object_lock
from steward.keys.backups import PREFIX, StoredVersion
from steward.keys.backups_errors import BackupPlaceUnnamed, BackupsLocked
from steward.settings import Settings


@dataclass(frozen=True)
class BackupBucket:
    """One bucket, whose objects are named by `steward.keys.backups.key_of`."""

    _bucket: LockedBucket

    def put_once(self, key: str, body: bytes) -> None:
        """Write *body* under *key*, unless something is there: then that stays."""
        with self._words(f"put {key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket.name,
                    Key=key,
                    Body=body,
                    ContentType="application/octet-stream",
                    ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if _code(error) not in {"PreconditionFailed", "412"}:
                    raise

    def get(self, key: str) -> bytes:
        """The newest version of *key*. ObjectMissing."""
        with self._words(f"get {key}"):
            return self._client.get_object(Bucket=self._bucket.name, Key=key)["Body"].read()

    def has(self, key: str) -> bool:
        """Whether there is anything under *key*."""
        try:
            with self._words(f"look at {key}"):
                self._client.get_object(Bucket=self._bucket.name, Key=key, Range="bytes=0-0")["Body"].read()
        except ObjectMissing:
            return False
        return True

    def versions(self) -> list[StoredVersion]:
        """Every version of every object under the prefix of backups, delete markers too."""
        with self._words("list versions"):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket.name, Prefix=PREFIX)
            return [
                StoredVersion(
                    key=each["Key"],
                    version_id=each["VersionId"],
                    stored_at=each["LastModified"],
                    is_marker=kind == "DeleteMarkers",
                )
                for page in pages
                for kind in ("Versions", "DeleteMarkers")
                for each in page.get(kind, [])
            ]

    def delete(self, version: StoredVersion) -> None:
        """That version alone, for ever. One that is gone already stays gone."""
        with self._words(f"delete {version.key}"):
            self._client.delete_object(Bucket=self._bucket.name, Key=version.key, VersionId=version.version_id)

    @property
    def _client(self) -> Any:
        return self._bucket.client

    @contextmanager
    def _words(self, action: str) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # Not chained: botocore's error keeps the server's answer, which may name the access key.
            raise _in_words(error, action, self._bucket) from None


@contextmanager
def open_backup_bucket(settings: Settings, before_write: BeforeWrite | None = None) -> Generator[BackupBucket]:
    """The bucket that `objects.backup_bucket` names, checked to have no Object Lock.

    *before_write* as for `open_evidence_bucket`. Raises BackupPlaceUnnamed, BackupsLocked, BucketMissing, and
    ObjectStoreUnavailable (transient) or ObjectStoreRefused.
    """
    store, name = settings.objects, settings.objects.backup_bucket
    if name is None:
        raise BackupPlaceUnnamed(
            "the settings name no bucket for backups of the keyring",
            hint="let objects.backup_bucket name one without Object Lock; see docs/runbooks/backup-keyring.md",
        )
    if has_object_lock(settings, name):
        raise BackupsLocked(
            f"bucket {name} has Object Lock: a backup in it could not be deleted when its time is over",
            hint="make another bucket, without Object Lock, and let objects.backup_bucket name it",
        )
    client = _client(store, settings.vault)
    if before_write:
        _ask(client, in_context_of_opening(before_write))
    try:
        yield BackupBucket(LockedBucket(name, store.endpoint or f"AWS {store.region}", client))
    finally:
        client.close()
