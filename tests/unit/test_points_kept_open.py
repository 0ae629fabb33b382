"""Points in time while a night waits for runs elsewhere."""

import logging
import threading
from contextlib import contextmanager

import pytest

from steward.errors import Unavailable
from steward.operations.errors import Superseded
from steward.snapshots.moments import Moments
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.taking import SnapshotTaken
from tasks import tenant_runs

TAKEN = SnapshotTaken.model_construct(before=Moments(), moments=Moments())


class Touches:
    """Each touch of the points in time comes to the next of *ends*, and to nothing when these are over."""

    def __init__(self, *ends) -> None:
        self.ends, self.count, self.enough = list(ends), 0, threading.Event()

    def __call__(self, _source, _moments) -> None:
        self.count += 1
        if not self.ends:
            self.enough.set()
            return
        if isinstance(self.ends[0], Superseded):
            self.enough.set()
        raise self.ends.pop(0)


@pytest.fixture
def touched(monkeypatch):
    @contextmanager
    def source(_policy):
        yield None

    monkeypatch.setattr(tenant_runs, "production", source)
    monkeypatch.setattr(tenant_runs, "KEEP_OPEN_SECONDS", 0.001)
    monkeypatch.setattr(tenant_runs, "get_run_logger", lambda: logging.getLogger("test"))

    def touch(*ends):
        touches = Touches(*ends)
        monkeypatch.setattr(tenant_runs, "keep_open", touches)
        with tenant_runs.kept_open(SnapshotPolicy(), TAKEN):
            assert touches.enough.wait(30)
        return touches

    return touch


def test_points_in_time_are_kept_open_though_the_cluster_is_away_for_a_moment(touched):
    assert touched(Unavailable("away"), Unavailable("away")).count >= 3


def test_a_night_that_is_another_runs_now_keeps_nothing_open(touched):
    touches = touched(Superseded("taken over"))
    assert touches.count == 1


def test_nothing_is_touched_once_the_wait_is_over(touched):
    touches = touched()
    before = touches.count
    assert not any(thread.name == "points in time" for thread in threading.enumerate())
    assert touches.count == before
