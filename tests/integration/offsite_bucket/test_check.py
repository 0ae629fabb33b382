"""A bucket that cannot keep what is locked is refused before anything is copied into it, with the setting that named it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from steward.clients.offsite_bucket import CHECK_KEY, open_offsite_bucket
from steward.clients.offsite_errors import BucketNotVersioned, OffsitePlaceUnnamed
from steward.clients.s3 import BucketMissing, BucketWithoutLock, ObjectStoreRefused
from steward.repository.copying import LockMode
from tests.integration.offsite_ground import admin, fresh_bucket, offsite

pytestmark = pytest.mark.without_search


def test_check_tries_a_lock_once_a_day_and_reads_it_back(bucket):
    bucket.check(LockMode.GOVERNANCE, 1)
    written = bucket.versions(CHECK_KEY)
    bucket.check(LockMode.GOVERNANCE, 1)
    assert bucket.versions(CHECK_KEY) == written
    newest = bucket.state(CHECK_KEY)
    assert newest.bytes == len("2026-07-31")
    assert newest.locked_until > datetime.now(UTC) + timedelta(days=1)


def test_a_bucket_without_a_lock_or_versions_is_refused_with_the_setting(settings):
    with admin(settings) as client, fresh_bucket(client) as name:
        with pytest.raises(BucketWithoutLock, match=name) as raised:
            _check(offsite(settings, name))
        assert "snapshots.offsite.bucket" in raised.value.hint
        assert not client.list_objects_v2(Bucket=name).get("Contents")


def test_a_bucket_whose_versions_are_suspended_is_refused(bucket, monkeypatch):
    monkeypatch.setattr(bucket._bucket.client, "get_bucket_versioning", lambda **_: {"Status": "Suspended"})
    with pytest.raises(BucketNotVersioned, match="Suspended"):
        bucket.check(LockMode.GOVERNANCE, 1)


def test_a_missing_bucket_is_named(settings):
    with pytest.raises(BucketMissing, match="no bucket absent"):
        _check(offsite(settings, "absent"))


def test_keys_that_are_refused_are_told_by_the_setting(settings, tmp_path):
    file = tmp_path / "key"
    file.write_text("hunter2hunter2")
    wrong = {"access_key": f"file:{file}", "secret_key": f"file:{file}"}
    with pytest.raises(ObjectStoreRefused) as raised:
        _check(offsite(settings, settings.objects.evidence_bucket, **wrong))
    assert "snapshots.offsite.access_key" in raised.value.hint
    assert "hunter2" not in str(raised.value)


def test_settings_that_name_no_bucket_are_told_so(settings):
    settings = settings.model_copy(update={"snapshots": None})
    with pytest.raises(OffsitePlaceUnnamed) as raised, open_offsite_bucket(settings):
        pass
    assert "[snapshots.offsite]" in raised.value.hint


def _check(settings):
    with open_offsite_bucket(settings) as bucket:
        bucket.check(LockMode.GOVERNANCE, 1)
