"""Buckets of a test's own on the replica's object store, and settings that name them."""

import hashlib
import secrets
from contextlib import contextmanager

from steward.clients.s3 import open_evidence_bucket
from steward.repository.copying import Content
from steward.settings import BucketRepository, Offsite, Settings, Snapshots


@contextmanager
def admin(settings):
    """A client that may do anything, for what others do to a bucket."""
    with open_evidence_bucket(settings) as bucket:
        yield bucket.client


@contextmanager
def fresh_bucket(client):
    """A bucket without versions or a lock, gone afterwards: SeaweedFS gives each one volumes, and there are not many."""
    name = f"test-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name)
    try:
        yield name
    finally:
        for held in client.list_objects_v2(Bucket=name).get("Contents", []):
            client.delete_object(Bucket=name, Key=held["Key"])
        client.delete_bucket(Bucket=name)


def offsite(settings: Settings, bucket: str, **more) -> Settings:
    return settings.model_copy(update={"snapshots": Snapshots(offsite=Offsite(bucket=bucket, **more))})


def repository(bucket: str, base_path: str = "") -> BucketRepository:
    return BucketRepository(kind="s3", bucket=bucket, base_path=base_path)


def content_of(body: bytes) -> Content:
    return Content(len(body), hashlib.sha256(body).hexdigest())
