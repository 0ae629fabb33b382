"""The check of blobs where they lie in a bucket, by as many readers as a bucket has."""

import pytest

from replica import inventory
from steward.clients.blobs import open_blobs
from steward.clients.s3 import BucketMissing
from steward.settings import load
from steward.settings.snapshots import Snapshots
from steward.snapshots.blob_check import check_night_blobs
from steward.verdicts import Verdict
from tasks.blobs import BUCKET_READERS
from tests.integration.offsite_ground import admin, fresh_bucket, repository
from tests.unit.blob_ground import SAMPLE, TONIGHT, Book, Cluster
from tests.unit.repository.sample import flipped, paths

pytestmark = pytest.mark.without_search

BAD = paths(SAMPLE, begins="index-", holds="indices/")[0]


@pytest.fixture(scope="module")
def bucket(replica):
    with admin(load(inventory.settings_file(replica))) as client, fresh_bucket(client) as name:
        for path, body in SAMPLE.items():
            client.put_object(Bucket=name, Key=f"sound/{path}", Body=body)
            client.put_object(Bucket=name, Key=f"damaged/{path}", Body=flipped(body, 40) if path == BAD else body)
        yield name


def check(settings, bucket, base_path):
    place = Snapshots(repositories={"nightly": repository(bucket, base_path)})
    with open_blobs(settings.model_copy(update={"snapshots": place}), "nightly") as blobs:
        return check_night_blobs(blobs, Cluster(), Book(), TONIGHT, readers=BUCKET_READERS)


def test_a_sound_repository_is_verified(settings, bucket):
    report = check(settings, bucket, "sound")
    assert (report.verdict, report.findings) == (Verdict.VERIFIED, ())
    assert report.manifest.entries == report.entries


def test_a_damaged_one_is_refuted_and_the_blob_named(settings, bucket):
    (finding,) = check(settings, bucket, "damaged").findings
    assert (finding.verdict, BAD in finding.subject) == (Verdict.REFUTED, True)


def test_an_absent_bucket_is_told_with_the_table_of_the_settings_that_names_it(settings):
    with pytest.raises(BucketMissing, match=r"snapshots\.repositories\.nightly"):
        check(settings, "no-such-bucket", "")
