"""Where an off-site copy is fetched to, and clusters read it from: a folder or a prefix of its own, cleared afterwards."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from steward.clients import offsite_uploads as uploads
from steward.clients.before_writing import BeforeWrite, in_context_of_opening
from steward.clients.blobs_s3 import MOST_CONNECTIONS
from steward.clients.offsite_copies import stored_copy
from steward.clients.offsite_errors import ContentDiffers
from steward.clients.s3 import LockedBucket, _ask, _client, _code, _in_words
from steward.errors import BadInput, StewardError, Unavailable
from steward.repository.copying import Content
from steward.settings import BucketStaging, FolderStaging, Settings

TABLE = "snapshots.staging"
#: Read by Elasticsearch's user, which is another one: by the group that the folder hands on (setgid).
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,100}")
_UNFINISHED = ".unfinished"
_MOST_DELETED = 1_000


class StagingUnnamed(BadInput):
    """The settings name no place to fetch copies to."""

    def __init__(self) -> None:
        super().__init__(
            "the settings name no place to fetch off-site copies to",
            hint=f"add [{TABLE}] with a folder below the clusters' path.repo, or a bucket; docs/settings.md",
        )


class StagingAway(Unavailable):
    """The place does not answer, or fails to write."""


class StagingFull(StewardError):
    """There is no room for what is to be fetched."""


class StagingPlace(Protocol):
    """A place of one's own for one copy. Threads may share it."""

    def holds(self, path: str, content: Content) -> bool:
        """Whether the blob is there already, whole: an earlier try fetched it."""
        ...

    def write(self, path: str, chunks: Iterator[bytes], content: Content) -> None:
        """Write what *chunks* yield. ContentDiffers: it is not *content*, and nothing is under the path."""
        ...

    def repository(self) -> dict[str, Any]:
        """The body of `PUT _snapshot/NAME`, read-only."""
        ...

    def room(self) -> int | None:
        """Bytes that may still be written; None: nobody knows."""
        ...

    def clear(self) -> None:
        """Remove all of it. Twice is harmless."""
        ...


@dataclass(frozen=True)
class FolderPlace:
    """A folder below `path`."""

    parent: Path
    name: str
    location: Path
    """The parent, as the clusters see it."""
    before_write: BeforeWrite = lambda: None

    @property
    def folder(self) -> Path:
        return self.parent / self.name

    def holds(self, path: str, content: Content) -> bool:
        """By size, and then by reading it."""
        at = self.folder / path
        with _words(at):
            if not at.is_file() or at.stat().st_size != content.bytes:
                return False
            with at.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == content.sha256

    def write(self, path: str, chunks: Iterator[bytes], content: Content) -> None:
        """Under another name until it is whole: a blob that is there is right."""
        self.before_write()
        at = self.folder / path
        beside = at.with_name(at.name + _UNFINISHED)
        with _words(at):
            # The place itself is not made: a share that is not mounted would be written below its mount point.
            self.folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            at.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(beside, "wb", opener=_opener) as file:
                    file.writelines(_compared(path, chunks, content))
                beside.replace(at)
            except BaseException:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise

    def repository(self) -> dict[str, Any]:
        """Of type fs."""
        return {"type": "fs", "settings": {"location": str(self.location / self.name), "readonly": "true"}}

    def room(self) -> int | None:
        """On the folder's file system."""
        with _words(self.parent):
            return shutil.disk_usage(self.parent).free

    def clear(self) -> None:
        """The folder with all that is in it."""
        self.before_write()
        with _words(self.folder):
            if self.folder.exists():
                shutil.rmtree(self.folder)


@dataclass(frozen=True)
class BucketPlace:
    """What is below a prefix."""

    bucket: LockedBucket
    root: str
    """Ends without a slash."""
    client_name: str

    def holds(self, path: str, content: Content) -> bool:
        """By what the store compared when it arrived."""
        key = f"{self.root}/{path}"
        with self._words(f"look at {key}"):
            try:
                head = self.bucket.client.head_object(Bucket=self.bucket.name, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if _code(error) == "404":
                    return False
                raise
        return stored_copy(key, head).holds(content)

    def write(self, path: str, chunks: Iterator[bytes], content: Content) -> None:
        """Without a lock: it is cleared away."""
        key = f"{self.root}/{path}"
        with self._words(f"put {key}"):
            upload = uploads.Upload(key, content, None, is_first=False)
            uploads.upload(self.bucket.client, self.bucket.name, upload, chunks)

    def repository(self) -> dict[str, Any]:
        """Of type s3, by the client that the clusters' own settings name."""
        settings = {"bucket": self.bucket.name, "base_path": self.root, "client": self.client_name, "readonly": "true"}
        return {"type": "s3", "settings": settings}

    def room(self) -> int | None:
        """A bucket does not tell."""
        return None

    def clear(self) -> None:
        """Every version of every object below the prefix."""
        with self._words(f"clear {self.root}/"):
            pages = self.bucket.client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket.name, Prefix=f"{self.root}/", PaginationConfig={"PageSize": _MOST_DELETED}
            )
            for page in pages:
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
                if objects:
                    self._delete(objects)

    def _delete(self, objects: list[dict[str, str]]) -> None:
        answer = self.bucket.client.delete_objects(Bucket=self.bucket.name, Delete={"Objects": objects})
        for error in answer.get("Errors", []):
            raise StagingAway(
                f"bucket {self.bucket.name} does not delete {error.get('Key')}: {error.get('Code')}",
                hint=f"is it locked? {TABLE} needs a bucket without Object Lock, and keys that may delete versions there",
            )

    @contextmanager
    def _words(self, action: str) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # Not chained: botocore's error keeps the server's answer, which may name the access key.
            raise _in_words(error, action, self.bucket) from None


@contextmanager
def open_staging(
    settings: Settings, name: str, before_write: BeforeWrite = lambda: None
) -> Generator[FolderPlace | BucketPlace]:
    """The place *name* below what `[snapshots.staging]` names; nothing is made there yet.

    *before_write* is asked before each blob is written, and before it is cleared. Raises StagingUnnamed, BadInput.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no place to fetch to", hint="expected small letters, digits and hyphens")
    staging = settings.snapshots.staging if settings.snapshots else None
    if staging is None:
        raise StagingUnnamed
    may_write = in_context_of_opening(before_write)
    if isinstance(staging, FolderStaging):
        yield FolderPlace(staging.path, name, staging.location or staging.path, may_write)
        return
    with _client_of(settings, staging) as bucket:
        _ask(bucket.client, may_write)
        yield BucketPlace(bucket, "/".join(filter(None, (staging.base_path, name))), staging.client)


def check_staging(settings: Settings, needed_bytes: int) -> None:
    """That something can be written there, and has room: tried, and cleared. StagingFull, StagingAway, BadInput."""
    probe = b"steward"
    with open_staging(settings, f"check-{secrets.token_hex(8)}") as place:
        room = place.room()
        if room is not None and room < needed_bytes:
            raise StagingFull(
                f"{TABLE} has room for {room:,} bytes; {needed_bytes:,} are to be fetched",
                hint="free or enlarge its disk, or lower offsite_proof_bytes so that less is proved of the copy at a time",
            )
        place.write("check", iter([probe]), Content(len(probe), hashlib.sha256(probe).hexdigest()))
        place.clear()


@contextmanager
def _client_of(settings: Settings, staging: BucketStaging) -> Generator[LockedBucket]:
    store = staging.store(settings.objects)
    client = _client(store, settings.vault, TABLE, max_pool_connections=MOST_CONNECTIONS)
    with closing(client):
        yield LockedBucket(staging.bucket, store.endpoint or f"AWS {store.region}", client, TABLE)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, _FILE_MODE)


def _compared(path: str, chunks: Iterator[bytes], content: Content) -> Iterator[bytes]:
    """*chunks*; their end is ContentDiffers where they were not *content*. What is beyond its size is not read."""
    digest, seen = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        if (seen := seen + len(chunk)) > content.bytes:
            break
        yield chunk
    if (read := Content(seen, digest.hexdigest())) != content:
        raise ContentDiffers(path, read, content)


@contextmanager
def _words(at: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StagingFull(
                f"{at} cannot be written: {error.strerror}", hint=f"free or enlarge the disk that {TABLE} names"
            ) from error
        if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)):
            raise BadInput(
                f"{at} cannot be used: {error.strerror}",
                hint=f"let {TABLE}.path name a folder that this user may write",
            ) from error
        raise StagingAway(
            f"{at} fails: {error.strerror}", hint="is it mounted? see the machine's kernel log"
        ) from error
