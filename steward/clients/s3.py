"""S3 with Object Lock: objects that are written once and cannot be deleted before their time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, SSLError

from steward.clients.before_writing import BeforeWrite, in_context_of_opening, is_write
from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError, Unavailable
from steward.settings import S3Store, Settings, Vault

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 20
#: Tries of one call within the client. More waiting than this belongs to the task, which can show it.
ATTEMPTS = 3
#: Servers keep retention to the second, and their clock may differ from ours by this much.
RETENTION_SLACK_SECONDS = 5

_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "Forbidden", "ExpiredToken"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_BUSY = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "ConditionalRequestConflict",
    "Throttling",
}
_SERVER_ERROR = 500


class ObjectStoreUnavailable(Unavailable):
    """The object store does not answer, or is too busy."""


class ObjectStoreRefused(BadInput):
    """The object store answers, and refuses these keys, this certificate or this clock."""


class BucketMissing(BadInput):
    """There is no such bucket."""


class BucketWithoutLock(BadInput):
    """The bucket has no Object Lock: what is written there can be deleted, and proves nothing."""


class ObjectMissing(StewardError):
    """There is no such object."""


class ObjectNotLocked(StewardError):
    """An object is there, but its retention is not what was asked for."""


@dataclass(frozen=True)
class StoredObject:
    """One version of an object, and until when it cannot be deleted (None: no compliance lock)."""

    version_id: str
    body: bytes
    locked_until: datetime | None


@dataclass(frozen=True)
class LockedBucket:
    """One bucket whose objects are locked in compliance mode, which no user of the store can lift."""

    name: str
    target: str
    client: Any
    table: str = "objects"
    """Of the settings, which names it: where hints point."""

    def put_once(
        self, key: str, body: bytes, *, locked_until: datetime, content_type: str = "application/json"
    ) -> StoredObject:
        """Write *body* under *key* if nothing is there, and return what is there now: compare it when it may differ.

        `If-None-Match: *` makes a repeat harmless, and one of two at the same moment the only writer. Raises
        ObjectNotLocked where the store took the object but not the lock.
        """
        with self._words(f"put {key}"):
            try:
                written = self.client.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    # Object Lock demands a checksum of the body.
                    ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                    IfNoneMatch="*",
                    ObjectLockMode="COMPLIANCE",
                    ObjectLockRetainUntilDate=locked_until,
                )
            except ClientError as error:
                if _code(error) not in {"PreconditionFailed", "412"}:
                    raise
                return self._locked(self.get(key), key, earliest=None)
        return self._locked(self.get(key, written.get("VersionId")), key, earliest=locked_until)

    def get(self, key: str, version_id: str | None = None) -> StoredObject:
        """The newest version of *key*, or the one named. ObjectMissing where there is none."""
        with self._words(f"get {key}"):
            version = {"VersionId": version_id} if version_id else {}
            found = self.client.get_object(Bucket=self.name, Key=key, **version)
            until = found.get("ObjectLockRetainUntilDate") if found.get("ObjectLockMode") == "COMPLIANCE" else None
            return StoredObject(found.get("VersionId", ""), found["Body"].read(), until)

    def first_versions(self, prefix: str, *, after: str = "") -> dict[str, str]:
        """Version id of the oldest version of each key that begins with *prefix* and sorts after *after*.

        That is what was written first, whatever somebody put over it since or hid behind a deletion marker.
        """
        listing = {"Bucket": self.name, "Prefix": prefix} | ({"KeyMarker": after} if after else {})
        with self._words(f"list {prefix}"):
            pages = self.client.get_paginator("list_object_versions").paginate(**listing)
            # The newest version of a key comes first, so the last one that is met stays.
            return {one["Key"]: one["VersionId"] for page in pages for one in page.get("Versions", [])}

    def check(self) -> None:
        """BucketMissing or BucketWithoutLock, before anything is written."""
        with self._words("read the lock configuration"):
            try:
                answer = self.client.get_object_lock_configuration(Bucket=self.name)
            except ClientError as error:
                if _code(error) != "ObjectLockConfigurationNotFoundError":
                    raise
                answer = {}
        if answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            raise BucketWithoutLock(
                f"bucket {self.name} at {self.target} has no Object Lock",
                hint="make a bucket with Object Lock (it cannot be added everywhere later) and let "
                f"{'objects.evidence_bucket' if self.table == 'objects' else f'{self.table}.bucket'} name it",
            )

    def _locked(self, found: StoredObject, key: str, *, earliest: datetime | None) -> StoredObject:
        # Read back, because a store that ignores the lock's headers answers 200 as well.
        short = (
            earliest is not None
            and found.locked_until is not None
            and (earliest - found.locked_until).total_seconds() > RETENTION_SLACK_SECONDS
        )
        if found.locked_until is None or short:
            raise ObjectNotLocked(
                f"{key} in bucket {self.name} is locked until {found.locked_until or 'never'}, asked for {earliest}",
                hint="the store ignored the retention, or somebody wrote the object first: see the object's versions",
            )
        return found

    @contextmanager
    def _words(self, action: str) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # Not chained: botocore's error keeps the server's answer, which may name the access key.
            raise _in_words(error, action, self) from None


@contextmanager
def open_evidence_bucket(settings: Settings, before_write: BeforeWrite | None = None) -> Generator[LockedBucket]:
    """The bucket for evidence, checked to have Object Lock. Keys are read here, from their references.

    *before_write* is called right before each request but GET and HEAD is sent, at every retry: what it raises keeps
    the request from leaving, and comes to the caller as it is.

    Raises ObjectStoreUnavailable (transient), ObjectStoreRefused, BucketMissing or BucketWithoutLock.
    """
    store = settings.objects
    client = _client(store, settings.vault)
    bucket = LockedBucket(store.evidence_bucket, store.endpoint or f"AWS {store.region}", client)
    if before_write:
        _ask(bucket.client, in_context_of_opening(before_write))
    try:
        bucket.check()
        yield bucket
    finally:
        bucket.client.close()


def _ask(client: Any, before_write: BeforeWrite) -> None:
    def on_send(request: Any, **_event: Any) -> None:
        if is_write(request.method):
            before_write()

    # botocore's last event before the request leaves: emitted once a try.
    client.meta.events.register("before-send.s3", on_send)


def _client(store: S3Store, vault: Vault | None, table: str = "objects", **config: Any) -> Any:
    """*config*: what botocore's Config is told beside the usual."""
    if store.ca_file and not store.ca_file.is_file():
        raise BadInput(
            f"no CA file {store.ca_file}", hint=f"let {table}.ca_file name the CA of the object store, in PEM"
        )
    import boto3  # noqa: PLC0415  a tenth of a second, which every run's process would pay before its first step
    from botocore.config import Config  # noqa: PLC0415  as above

    try:
        return boto3.client(
            "s3",
            endpoint_url=store.endpoint,
            region_name=store.region,
            aws_access_key_id=read_secret(store.access_key, vault),
            aws_secret_access_key=read_secret(store.secret_key, vault),
            verify=str(store.ca_file) if store.ca_file else None,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=READ_TIMEOUT_SECONDS,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                # An endpoint of one's own has no DNS name for every bucket.
                s3={"addressing_style": "path" if store.endpoint else "auto"},
                **config,
            ),
        )
    except BotoCoreError as error:
        # The environment takes part: AWS_PROFILE, ~/.aws/config.
        raise BadInput(
            f"no client of the object store can be made: {error}", hint="see AWS_ variables and region"
        ) from None
    except ValueError:
        raise BadInput(f"{table}.endpoint {store.endpoint} is no URL", hint="expected https://host:port") from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _in_words(error: ClientError | BotoCoreError, action: str, bucket: LockedBucket) -> StewardError:
    where = f"object store at {bucket.target}"
    if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ObjectStoreRefused(
            f"{where}: its certificate is not trusted", hint=f"let {bucket.table}.ca_file name the CA that signed it"
        )
    if isinstance(error, SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return ObjectStoreRefused(f"{where} does not speak TLS", hint=f"is {bucket.table}.endpoint an http:// address?")
    if not isinstance(error, ClientError):
        return ObjectStoreUnavailable(
            f"{where} does not answer: {type(error).__name__}", hint="see whether it runs and can be reached from here"
        )
    return _answered(error, action, where, bucket)


def _answered(error: ClientError, action: str, where: str, asked: LockedBucket) -> StewardError:
    bucket, table = asked.name, asked.table
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return BucketMissing(f"{where} has no bucket {bucket}", hint="make it, with Object Lock enabled")
    if code in {"NoSuchKey", "NoSuchVersion"}:
        return ObjectMissing(f"bucket {bucket}: nothing to {action}", hint="was it deleted? list the object's versions")
    if code in _CLOCK:
        return ObjectStoreRefused(f"{where} refuses this machine's clock: {code}", hint="set the clock (NTP)")
    if code in _DENIED:
        return ObjectStoreRefused(
            f"{where} refuses to {action} in bucket {bucket}: {code}",
            hint=f"check the files that {table}.access_key and {table}.secret_key name, and what that user may do",
        )
    if code in _BUSY or status >= _SERVER_ERROR:
        return ObjectStoreUnavailable(f"{where} cannot {action} now: {code or status}", hint="see its log")
    return StewardError(f"{where} refuses to {action} in bucket {bucket}: {code or status}", hint="see its log")
