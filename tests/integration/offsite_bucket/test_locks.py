"""A lock is renewed while it lasts and never weakened; one that lapsed, or is weaker than asked for, is not renewed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from steward.clients.offsite_errors import LockCannotBeRenewed
from steward.repository.copying import LockMode
from tests.integration.offsite_bucket.ground import a_lock, put_blob

pytestmark = pytest.mark.without_search


def test_a_repeat_renews_a_lock_that_is_too_short_by_now(bucket, key):
    stored, longer = put_blob(bucket, key), a_lock(5)
    again = put_blob(bucket, key, lock=longer)
    assert (again.version, again.locked_until) == (stored.version, longer.until)


@pytest.mark.parametrize("mode", LockMode)
def test_a_lock_is_renewed_and_read_back(bucket, key, mode):
    stored, lock = put_blob(bucket, key, lock=a_lock(mode=mode)), a_lock(9, mode)
    renewed = bucket.renew(key, stored.version, lock)
    assert renewed == replace(stored, locked_until=lock.until) == bucket.state(key, stored.version)


def test_a_lock_that_is_long_and_strong_enough_is_left_alone(bucket, key):
    stored = put_blob(bucket, key, lock=a_lock(9, LockMode.COMPLIANCE))
    assert bucket.renew(key, stored.version, a_lock(2)) == stored
    renewed = bucket.renew(key, stored.version, a_lock(12))
    assert (renewed.mode, renewed.locked_until) == (LockMode.COMPLIANCE, a_lock(12).until)


def test_a_lock_that_lapsed_is_not_renewed(bucket, key):
    stored = put_blob(bucket, key)
    later = replace(bucket, now=lambda: datetime.now(UTC) + timedelta(hours=2))
    with pytest.raises(LockCannotBeRenewed) as raised:
        later.renew(key, stored.version, a_lock(9))
    assert raised.value.why == "lapsed"
    assert bucket.state(key, stored.version) == stored
    assert put_blob(later, key, lock=a_lock(9)).version != stored.version


def test_a_lock_that_is_weaker_than_asked_for_is_not_renewed(bucket, key):
    stored = put_blob(bucket, key)
    with pytest.raises(LockCannotBeRenewed) as raised:
        bucket.renew(key, stored.version, a_lock(9, LockMode.COMPLIANCE))
    assert raised.value.why == "weaker"
    assert bucket.state(key, stored.version) == stored
