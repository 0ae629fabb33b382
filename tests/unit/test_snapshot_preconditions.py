import pytest

from steward.errors import BadInput
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.preconditions import (
    ClockSkew,
    DiskTooSmall,
    check_clocks,
    check_disk,
    check_policy,
    check_repository,
)


def test_a_clock_more_than_a_minute_off_is_refused_by_name():
    check_clocks({"es-1": 59, "postgres": -3}, 60)
    with pytest.raises(ClockSkew, match=r"clock of postgres is -61.0 s off"):
        check_clocks({"es-1": 2, "postgres": -61}, 60)


def test_no_clock_at_all_is_no_skew():
    check_clocks({}, 60)


def test_a_disk_is_full_at_the_flood_stage_and_not_at_its_last_byte():
    check_disk("n1", total=1000, available=150, needed=100)
    with pytest.raises(DiskTooSmall, match="node n1 has room for 100 bytes below its flood stage; 101 are needed"):
        check_disk("n1", total=1000, available=150, needed=101)


def test_an_unknown_repository_is_refused_with_the_known_ones():
    known = {"nightly": {"type": "fs", "settings": {}}}
    check_repository("nightly", known, "production", readonly=False)
    with pytest.raises(BadInput, match="unknown repository 'weekly' on production; registered: nightly"):
        check_repository("weekly", known, "production", readonly=False)


def test_a_scratch_cluster_that_could_write_the_repository_is_refused():
    with pytest.raises(BadInput, match="'nightly' on scratch is writable; expected read-only"):
        check_repository("nightly", {"nightly": {"settings": {}}}, "scratch", readonly=True)
    check_repository("nightly", {"nightly": {"settings": {"readonly": "true"}}}, "scratch", readonly=True)


def test_a_copy_of_blobs_that_nobody_checked_is_refused():
    check_policy(SnapshotPolicy())
    check_policy(SnapshotPolicy(blobs=False, offsite=False))
    with pytest.raises(BadInput, match="copies blobs off site that it does not check"):
        check_policy(SnapshotPolicy(blobs=False))
