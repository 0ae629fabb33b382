"""A repository in a bucket, read and never written: what Elasticsearch's `s3` repositories are.

Every blob is read as the store hands it out, and no checksum of the store's is compared on the way: whether the bytes
are right is judged by the manifest's SHA-256, and a blob that is wrong is a finding, not a server that does not answer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from steward.clients.s3 import BucketMissing, LockedBucket, ObjectMissing, ObjectStoreRefused, _client, _in_words
from steward.errors import StewardError
from steward.repository.blobs import MOST_METADATA_BYTES
from steward.repository.errors import BlobMissing, BlobRefused, BlobsAway
from steward.settings import BucketRepository, BucketStaging, Settings

#: Larger pieces are read no faster.
CHUNK_BYTES = 1 << 20
#: As many threads read at a time without opening a connection, and greeting over TLS, for each blob.
MOST_CONNECTIONS = 32


@dataclass(frozen=True)
class BucketBlobs:
    """The blobs below *root*, which is empty or ends with a slash. Satisfies `Blobs`; threads may share it."""

    _bucket: LockedBucket
    root: str = ""

    def read(self, path: str) -> bytes:
        """A whole blob of metadata; a larger one is refused before any of it is in memory."""
        with self._opened(path) as found:
            if (size := found["ContentLength"]) > MOST_METADATA_BYTES:
                raise BlobRefused(
                    path, f"{size:,} bytes, of metadata at most {MOST_METADATA_BYTES:,}", hint="is it what it is named?"
                )
            return found["Body"].read()

    def chunks(self, path: str) -> Iterator[bytes]:
        """A blob of any size in pieces of at most CHUNK_BYTES. One that ends before its length is BlobsAway."""
        with self._opened(path) as found:
            yield from found["Body"].iter_chunks(CHUNK_BYTES)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Path → bytes of every blob whose path begins with *prefix*."""
        listing = {"Bucket": self._bucket.name, "Prefix": self.root + prefix}
        with self._words(prefix, f"list {prefix or 'the repository'}"):
            pages = self._bucket.client.get_paginator("list_objects_v2").paginate(**listing)
            found = (each for page in pages for each in page.get("Contents", []))
            # A name that ends with a slash is a folder that somebody made by a store's console.
            return {each["Key"].removeprefix(self.root): each["Size"] for each in found if each["Key"][-1] != "/"}

    def check(self) -> None:
        """That the bucket is there and these keys may list it. BucketMissing, ObjectStoreRefused, and BlobsAway."""
        try:
            self._bucket.client.list_objects_v2(Bucket=self._bucket.name, Prefix=self.root, MaxKeys=1)
        except (ClientError, BotoCoreError) as error:
            told = _in_words(error, "list", self._bucket)
            if isinstance(told, BucketMissing):
                told.hint = f"let {self._bucket.table}.bucket name the one that the repository is registered with"
            raise _away(told) if told.transient else told from None

    @contextmanager
    def _opened(self, path: str) -> Generator[dict[str, Any]]:
        """The answer to a GET of it, whose connection goes back to the pool or is closed with what is left of it."""
        with self._words(path, f"read {path}"):
            found = self._bucket.client.get_object(Bucket=self._bucket.name, Key=f"{self.root}{_checked(path)}")
            with closing(found["Body"]):
                yield found

    @contextmanager
    def _words(self, path: str, action: str) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # Not chained: botocore's error keeps the server's answer, which may name the access key.
            raise self._told(path, _in_words(error, action, self._bucket)) from None

    def _told(self, path: str, told: StewardError) -> StewardError:
        if isinstance(told, ObjectMissing):
            return BlobMissing(path, f"{self._bucket.name}/{self.root} at {self._bucket.target}")
        # A bucket that was there when it was opened: as a folder that is no longer mounted.
        if told.transient or isinstance(told, BucketMissing):
            return _away(told)
        if isinstance(told, ObjectStoreRefused):
            return BlobRefused(path, told.message, hint=told.hint)
        return BlobRefused(path, told.message, hint="is it archived (Glacier), or encrypted by a key that is closed?")


@contextmanager
def open_bucket_blobs(
    settings: Settings, place: BucketRepository | BucketStaging, *, table: str, below: str = ""
) -> Generator[BucketBlobs]:
    """The repository at *place*, which *table* of the settings names, or the one in the folder *below* it.

    Raises BucketMissing or ObjectStoreRefused where it cannot be listed, BlobsAway (transient), and BadInput.
    """
    store = place.store(settings.objects)
    client = _client(
        store,
        settings.vault,
        table,
        max_pool_connections=MOST_CONNECTIONS,
        response_checksum_validation="when_required",
    )
    root = "".join(f"{each}/" for each in (place.base_path, below) if each)
    with closing(client):
        blobs = BucketBlobs(LockedBucket(place.bucket, store.endpoint or f"AWS {store.region}", client, table), root)
        blobs.check()
        yield blobs


def _checked(path: str) -> str:
    """BlobRefused: no path that Elasticsearch makes. The client would tidy `..` away, and ask for another key."""
    if "\0" in path or {"", ".", ".."} & set(path.split("/")):
        raise BlobRefused(
            path, "it is no path below the repository", hint="the blob that names it is damaged, or forged"
        )
    return path


def _away(told: StewardError) -> BlobsAway:
    return BlobsAway(told.message, hint=told.hint)
