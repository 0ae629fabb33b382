from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from replica import inventory
from steward.clients import blobs_s3
from steward.clients.blobs_s3 import CHUNK_BYTES, open_bucket_blobs
from steward.clients.s3 import BucketMissing, ObjectStoreRefused
from steward.repository.errors import BlobMissing, BlobRefused, BlobsAway
from steward.settings import load
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import changed
from tests.integration.offsite_ground import admin, fresh_bucket, repository

pytestmark = pytest.mark.without_search

TABLE = "snapshots.repositories.nightly"
LARGE = 40 * CHUNK_BYTES + 7
BLOBS = {"index.latest": b"\0" * 8, "index-1": b"{}", "indices/a/0/__b": b"xyz", "indices/ab/0/__c c+é": b""}


@pytest.fixture(scope="module")
def bucket(replica):
    with admin(load(inventory.settings_file(replica))) as client, fresh_bucket(client) as name:
        for path, body in BLOBS.items():
            client.put_object(Bucket=name, Key=f"production/{path}", Body=body)
        client.put_object(Bucket=name, Key="large/indices/", Body=b"")
        client.put_object(Bucket=name, Key="production-2/index-1", Body=b"another's")
        client.put_object(Bucket=name, Key="large/one", Body=b"\7" * LARGE)
        yield name


@pytest.fixture
def blobs(settings, bucket):
    with open_bucket_blobs(settings, repository(bucket, "production"), table=TABLE) as blobs:
        yield blobs


def test_blobs_are_listed_with_their_sizes_and_nobody_else_s(blobs):
    assert blobs.sizes() == {path: len(body) for path, body in BLOBS.items()}
    assert blobs.sizes("indices/a") == {"indices/a/0/__b": 3, "indices/ab/0/__c c+é": 0}
    assert blobs.sizes("absent/") == {}


def test_a_folder_that_a_console_made_is_no_blob(settings, bucket):
    with open_bucket_blobs(settings, repository(bucket, "large"), table=TABLE) as blobs:
        assert blobs.sizes() == {"one": LARGE}


def test_a_listing_of_several_pages_is_whole(blobs, monkeypatch):
    pages = blobs._bucket.client.get_paginator("list_objects_v2").paginate

    class Small:
        def paginate(self, **listing):
            return pages(**listing, PaginationConfig={"PageSize": 1})

    monkeypatch.setattr(blobs._bucket.client, "get_paginator", lambda _: Small())
    assert len(blobs.sizes()) == len(BLOBS)


@pytest.mark.parametrize("path", BLOBS)
def test_a_blob_is_read_whole_and_in_pieces(blobs, path):
    assert blobs.read(path) == BLOBS[path] == b"".join(blobs.chunks(path))


def test_a_bucket_without_a_path_is_the_repository_itself_and_may_have_one_below(settings, bucket):
    with open_bucket_blobs(settings, repository(bucket), table=TABLE) as blobs:
        assert blobs.read("production-2/index-1") == b"another's"
    with open_bucket_blobs(settings, repository(bucket), table=TABLE, below="production-2") as blobs:
        assert blobs.sizes() == {"index-1": 9}


def test_a_large_blob_is_never_whole_in_memory(settings, bucket):
    with open_bucket_blobs(settings, repository(bucket, "large"), table=TABLE) as blobs:
        tracemalloc.start()
        try:
            sizes = [len(chunk) for chunk in blobs.chunks("one")]
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sum(sizes) == LARGE
    assert max(sizes) <= CHUNK_BYTES
    assert most < LARGE // 4


def test_metadata_that_are_too_large_are_refused_before_they_are_read(settings, bucket, monkeypatch):
    monkeypatch.setattr(blobs_s3, "MOST_METADATA_BYTES", 1000)
    with (
        open_bucket_blobs(settings, repository(bucket, "large"), table=TABLE) as blobs,
        pytest.raises(BlobRefused, match=r"at most 1,000"),
    ):
        blobs.read("one")


def test_threads_share_it_also_when_some_stop_in_the_middle(settings, bucket):
    with open_bucket_blobs(settings, repository(bucket, "large"), table=TABLE) as blobs, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: len(next(blobs.chunks("one"))), range(16))) == {CHUNK_BYTES}
        assert sum(len(chunk) for chunk in blobs.chunks("one")) == LARGE


@pytest.mark.parametrize("path", ["index-2", "indices/a/0", "production/index-1"])
def test_a_blob_that_is_not_there_is_missing_by_its_path(blobs, path):
    with pytest.raises(BlobMissing, match=path) as raised:
        blobs.read(path)
    assert raised.value.path == path
    with pytest.raises(BlobMissing):
        next(blobs.chunks(path))


@pytest.mark.parametrize("path", ["", "/index-1", "../production-2/index-1", "indices//a", "./index-1", "a\0b"])
def test_no_path_leads_out_of_the_repository(blobs, path):
    with pytest.raises(BlobRefused, match="no path below"):
        blobs.read(path)


def test_a_bucket_that_is_not_there_is_named_with_the_setting(settings):
    with pytest.raises(BucketMissing, match="no bucket absent") as raised:
        _open(settings, repository("absent"))
    assert f"{TABLE}.bucket" in raised.value.hint


def test_keys_that_are_refused_are_told_by_the_setting(settings, bucket, tmp_path):
    file = tmp_path / "key"
    file.write_text("hunter2hunter2")
    place = repository(bucket).model_copy(update={"access_key": f"file:{file}", "secret_key": f"file:{file}"})
    with pytest.raises(ObjectStoreRefused) as raised:
        _open(settings, place)
    assert f"{TABLE}.access_key" in raised.value.hint
    assert "hunter2" not in str(raised.value)


def test_a_store_that_does_not_answer_is_away(settings, bucket):
    away = changed(settings, "objects", endpoint=f"https://127.0.0.1:{closed_port()}")
    with pytest.raises(BlobsAway) as raised:
        _open(away, repository(bucket))
    assert raised.value.transient


def test_a_bucket_that_vanishes_says_nothing_of_its_blobs(settings):
    with admin(settings) as client:
        name = "vanishing"
        client.create_bucket(Bucket=name)
        with open_bucket_blobs(settings, repository(name), table=TABLE) as blobs:
            client.delete_bucket(Bucket=name)
            with pytest.raises(BlobsAway, match=name):
                blobs.sizes()


def _open(settings, place):
    with open_bucket_blobs(settings, place, table=TABLE):
        pass
