"""kill -9 of a night's process, and the next run of the same night: it finishes it, once, with nothing left over."""

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from flows.nightly_snapshot import nightly_snapshot
from steward.clients.elasticsearch import open_search
from steward.clients.postgres import connect
from steward.evidence.store import list_statements
from steward.operations.effects import left_effects
from steward.operations.ledger import Ledger
from steward.snapshots import capture
from steward.verdicts import Verdict

# Where a night can die: every step of an attempt's way, before and after its effect, and inside the long ones.
POINTS = [
    *((step, "after") for step in ("begin_attempt", "check_preconditions", "create_snapshot", "drop_batch")),
    *((step, "after") for step in ("restore_batch", "compare_contents", "compare_templates", "clear_attempt")),
    *((step, when) for step in ("keep_verdict", "expire_snapshots", "record_evidence") for when in ("before", "after")),
    *((step, "60") for step in ("create_snapshot", "restore_batch", "compare_contents", "compare_templates")),
]
CASES = int(os.environ.get("STEWARD_DRILL_CASES", "3"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))


def chosen():
    points = list(POINTS)
    random.Random(SEED).shuffle(points)
    return [points[number % len(points)] for number in range(CASES)]


def open_points_in_time(client):
    answer = client.request("GET", "/_nodes/stats/indices/search?filter_path=nodes.*.indices.search.open_contexts")
    return sum(node["indices"]["search"]["open_contexts"] for node in answer["nodes"].values())


@pytest.mark.parametrize(("step", "when"), chosen())
def test_a_killed_night_is_finished_once_by_its_next_run(step, when, settings, fresh):
    policy, night, began = fresh, datetime.now(UTC).date(), datetime.now(UTC)
    with open_search(settings, policy.cluster, "monitoring") as client:
        open_before = open_points_in_time(client)

    dead = subprocess.run(
        [sys.executable, "-m", "tests.drills.dying", step, when, str(night), policy.model_dump_json()],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr[-2000:]

    report = nightly_snapshot(policy, night)

    assert report.verdict is Verdict.VERIFIED
    with open_search(settings, policy.cluster, "snapshot") as source:
        held = source.request("GET", f"/_snapshot/{policy.repository}/nightly-*")["snapshots"]
        assert [(each["snapshot"], each["state"]) for each in held] == [(report.snapshot, "SUCCESS")]
    with open_search(settings, policy.cluster, "monitoring") as client:
        assert open_points_in_time(client) == open_before
    with open_search(settings, policy.scratch_cluster, "restore") as scratch:
        assert capture.restored_indices(scratch, "proof-") == {}
        assert capture.capture_templates(scratch).templates == {}
    assert left_effects(Ledger(settings), "nightly-snapshot", policy.cluster) == []
    with connect(settings) as db:
        tonight = list_statements(db, "nightly-snapshot", subject=policy.cluster, period=str(night))
    # Evidence is append-only, so that of earlier drills is there too.
    verdicts = [each.verdict for each in tonight if each.recorded_at >= began]
    assert verdicts == [Verdict.VERIFIED]
