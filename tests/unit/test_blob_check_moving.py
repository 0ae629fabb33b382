"""A repository that moves while it is read is looked at anew; only one that stands still can have lost a blob."""

import pytest

from steward.snapshots import blob_check
from steward.verdicts import Verdict
from tests.unit.blob_check_ground import TWO, A, facts
from tests.unit.blob_ground import SAMPLE, Cluster, check
from tests.unit.repository.sample import CATALOGUE, GENERATION, Memory


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(blob_check, "PIN_PAUSE_SECONDS", 0)


@pytest.mark.parametrize("missing", [f"{A}/0/snap-{TWO}.dat", CATALOGUE])
def test_a_blob_that_vanishes_while_the_repository_moves_is_looked_for_anew(missing):
    class Restored(Memory):
        """It is there once the first look is over."""

        looks = 0

        def read(self, path):
            if path == missing and self.looks < 1:
                self.looks += 1
                return super().read("nothing")
            return super().read(path)

    moves = [GENERATION, GENERATION + 1]
    report = check(Restored(SAMPLE), cluster=Cluster(moves=moves))
    assert (report.verdict, facts(report)) == (Verdict.VERIFIED, [])


def test_a_repository_that_never_stands_still_is_unknown_and_not_refuted():
    blobs = {path: blob for path, blob in SAMPLE.items() if path != f"{A}/0/snap-{TWO}.dat"}
    moves = [1, 2, 1, 2, 1, 2, 1]
    report = check(blobs, cluster=Cluster(moves=moves))
    assert (report.verdict, report.manifest) == (Verdict.UNKNOWN, None)
    assert "it moved while it was read, 3 times" in facts(report)[0]


def test_a_generation_that_is_being_written_is_waited_for():
    assert check(cluster=Cluster(pending=GENERATION + 1)).verdict is Verdict.UNKNOWN


def test_a_missing_blob_of_a_repository_that_stands_still_is_lost():
    blobs = {path: blob for path, blob in SAMPLE.items() if path != f"{A}/0/snap-{TWO}.dat"}
    assert check(blobs).verdict is Verdict.REFUTED
