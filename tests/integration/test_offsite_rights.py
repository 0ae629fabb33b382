"""The rights that the off-site bucket's keys are to have, and what deletes there, held against what is asked of the store."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from replica import inventory
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_fetching import documents, read_document
from steward.repository.copying import SLACK_DAYS, LockMode
from steward.settings import load
from steward.snapshots.policy import SnapshotPolicy
from tests.integration.copying_ground import Offsite, bodies
from tests.integration.offsite_ground import admin, fresh_bucket
from tests.integration.offsite_ground import offsite as with_offsite
from tests.unit.repository.sample import sample

pytestmark = pytest.mark.without_search

FOLDER = resources.files("deployments") / "offsite"
#: Which rights S3 asks for each of its operations.
RIGHTS = {
    "PutObject": {"s3:PutObject", "s3:PutObjectRetention"},
    "CreateMultipartUpload": {"s3:PutObject", "s3:PutObjectRetention"},
    "UploadPart": {"s3:PutObject"},
    "CompleteMultipartUpload": {"s3:PutObject"},
    "AbortMultipartUpload": {"s3:AbortMultipartUpload"},
    # Without the last, the answer holds no lock.
    "HeadObject": {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"},
    "GetObject": {"s3:GetObject", "s3:GetObjectVersion"},
    "PutObjectRetention": {"s3:PutObjectRetention"},
    "ListObjectVersions": {"s3:ListBucketVersions"},
    "ListObjectsV2": {"s3:ListBucket"},
    "GetBucketVersioning": {"s3:GetBucketVersioning"},
    "GetObjectLockConfiguration": {"s3:GetBucketObjectLockConfiguration"},
}


def granted():
    policy = json.loads((FOLDER / "user_policy.json").read_text())
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_keys_may_do_what_a_copy_asks_and_delete_nothing(replica):
    settings, asked = load(inventory.settings_file(replica)), set()
    with open_offsite_bucket(with_offsite(settings, settings.objects.evidence_bucket)) as bucket:
        bucket._bucket.client.meta.events.register("before-call.s3", lambda model, **_: asked.add(model.name))
        bucket.check(LockMode.GOVERNANCE, 1)
        offsite = Offsite(bucket, sample())
        outcome = offsite.copy()
        offsite.document(outcome)
        offsite.copy(days=SLACK_DAYS + 1)
        bucket.check_owner(offsite.cluster, "of-nobody")
        ((_, found),) = documents(bucket, offsite.cluster)
        read_document(bucket, found.key, found.version)
        bodies(offsite, outcome.manifest)
    # Asked where a store fails, and of blobs that are large.
    asked |= {"ListObjectsV2", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"}
    assert asked == set(RIGHTS)
    assert granted() == set().union(*RIGHTS.values())
    assert not any("Delete" in action or "Bypass" in action for action in granted())


def test_copies_are_deleted_once_they_are_locked_no_longer(settings):
    lifecycle = json.loads((FOLDER / "bucket_lifecycle.json").read_text())
    (rule,) = lifecycle["Rules"]
    assert rule["Expiration"]["Days"] > SnapshotPolicy().offsite_lock_days + SLACK_DAYS
    with admin(settings) as client, fresh_bucket(client) as bucket:
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=lifecycle)
