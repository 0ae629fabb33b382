from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import BadInput
from steward.repository.copying import (
    SLACK_DAYS,
    Copied,
    LockMode,
    LockTooShort,
    ManifestName,
    blob_key,
    check_lock,
    lock_end,
    manifest_key,
    manifest_name,
    plan_copy,
    root_of,
)
from steward.repository.manifest import Entry

NIGHT = date(2026, 7, 31)
DAYS = 30


def _entry(path="indices/a/0/__b", size=3, sha="a" * 64):
    return Entry(path=path, bytes=size, sha256=sha)


def _copied(until, size=3, sha="a" * 64):
    return Copied(size, sha, "v1", until)


def _plan(entry, copied, night=NIGHT):
    return plan_copy([entry], {entry.path: copied} if copied else {}, night, DAYS)


def test_a_lock_ends_with_its_last_day():
    assert lock_end(NIGHT, 30) == datetime(2026, 8, 31, tzinfo=UTC)


def test_what_has_no_copy_is_uploaded_and_locked_with_the_slack():
    plan = _plan(_entry(), None)
    assert (plan.upload, plan.renew, plan.keep) == ((_entry(),), (), ())
    assert plan.locked_until == lock_end(NIGHT, DAYS + SLACK_DAYS)
    assert plan.upload_bytes == 3


def test_a_copy_that_is_locked_for_long_enough_is_left_alone_and_pinned():
    plan = _plan(_entry(), _copied(lock_end(NIGHT, DAYS)))
    assert [entry.version for entry in plan.keep] == ["v1"]
    assert not plan.upload
    assert not plan.renew


def test_a_lock_of_a_second_too_little_is_renewed():
    plan = _plan(_entry(), _copied(lock_end(NIGHT, DAYS) - timedelta(seconds=1)))
    assert [entry.version for entry in plan.renew] == ["v1"]


@pytest.mark.parametrize("other", [{"size": 4}, {"sha": "b" * 64}])
def test_a_copy_of_other_bytes_is_no_copy(other):
    plan = _plan(_entry(), _copied(lock_end(NIGHT, 90), **other))
    assert plan.upload == (_entry(),)


def test_the_catalogue_is_uploaded_after_all_it_tells_of_and_the_pointer_to_it_last():
    paths = ["index-12", "index.latest", "indices/a/0/index-xy", "indices/a/0/snap-u.dat", "meta-u.dat"]
    plan = plan_copy([_entry(path) for path in paths], {}, NIGHT, DAYS)
    assert [entry.path for entry in plan.upload] == [*paths[2:], "index-12", "index.latest"]


@given(st.integers(1, 400), st.lists(st.booleans(), min_size=1, max_size=40))
def test_whatever_is_copied_nightly_is_always_locked_for_the_promised_days_and_renewed_once_a_week(days, runs):
    entry, copied, renewed = _entry(), None, list[int]()
    for after, ran in enumerate(runs):
        night = NIGHT + timedelta(days=after)
        if not ran:
            continue
        plan = plan_copy([entry], {entry.path: copied} if copied else {}, night, days)
        assert len(plan.upload) + len(plan.renew) + len(plan.keep) == 1
        if plan.upload or plan.renew:
            copied = _copied(plan.locked_until)
            renewed.append(after)
        assert copied
        assert copied.locked_until >= lock_end(night, days)
    assert all(later - earlier > SLACK_DAYS for earlier, later in itertools.pairwise(renewed))


@pytest.mark.parametrize(("lock", "keep"), [(29, 30), (6, 7)])
def test_a_lock_shorter_than_the_retention_is_refused_with_both_figures(lock, keep):
    with pytest.raises(LockTooShort, match=f"locked for {lock} days") as raised:
        check_lock(lock, keep)
    assert "offsite_lock_days" in raised.value.hint
    assert isinstance(raised.value, BadInput)


@pytest.mark.parametrize(("lock", "keep"), [(30, 30), (31, 30)])
def test_a_lock_that_outlasts_the_retention_is_taken(lock, keep):
    check_lock(lock, keep)


def test_only_nobody_s_lock_is_as_strong_as_nobody_s():
    assert LockMode.COMPLIANCE.holds(LockMode.GOVERNANCE)
    assert LockMode.COMPLIANCE.holds(LockMode.COMPLIANCE)
    assert LockMode.GOVERNANCE.holds(LockMode.GOVERNANCE)
    assert not LockMode.GOVERNANCE.holds(LockMode.COMPLIANCE)


def test_keys_tell_cluster_repository_and_night():
    root = root_of("production", "kSwqHiCZSOq_x-1")
    assert blob_key(root, "indices/a/0/__b") == "production/kSwqHiCZSOq_x-1/blobs/indices/a/0/__b"
    key = manifest_key(root, NIGHT, "Uv-w_1")
    assert manifest_name(key) == ManifestName(root, NIGHT, "Uv-w_1")


@pytest.mark.parametrize("part", ["", "a/b", "..", "a b"])
def test_a_name_that_would_lead_elsewhere_is_refused(part):
    with pytest.raises(BadInput, match="part of an object's key"):
        root_of(part, "uuid")


@pytest.mark.parametrize("key", ["p/u/blobs/index-1", "p/u/manifests/2026-13-01-x.jsonl.gz", "manifests/x"])
def test_what_is_no_manifest_is_not_taken_for_one(key):
    assert manifest_name(key) is None


def test_a_copy_that_is_not_trusted_any_more_is_uploaded_anew_however_long_it_is_locked():
    for entry in (_entry(), _entry(size=0)):
        copy = _copied(lock_end(NIGHT, 99), size=entry.bytes).distrusted()
        assert _plan(entry, copy).upload == (entry,)
        assert copy.version == "v1"
