"""Durable flows as they are deployed, run by the worker: a person's answer, a child on a worker, an order to end."""

import os
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.flow_runs import resume_flow_run
from prefect.states import Cancelling, Crashed, Running

from steward.errors import BadInput
from steward.operations import claims
from steward.operations.claims import Identity, Run, Terms, claim
from steward.operations.errors import Held
from tasks import children
from tasks.children import ChildFailed
from tasks.lineage import parent_tag
from tests.flows import durable_samples as samples
from tests.flows.durable_ground import (
    Effects,
    deployed,
    ended,
    operation_of,
    start,
    state_of,
    unique,
    wait_for,
)
from tests.flows.prefect_server import recording_in

pytestmark = [pytest.mark.without_search, pytest.mark.usefixtures("worker")]

#: What Prefect and Kubernetes give a process that was told to end.
GRACE_SECONDS = 30


@pytest.fixture(scope="module")
def deployments(replica, ledger_settings):
    flows = (samples.asking, samples.child, samples.parent, samples.blocking, samples.blocking_thread)
    with recording_in(replica), deployed(*flows, settings=ledger_settings) as made:
        yield made


@dataclass(frozen=True)
class Begun:
    run: UUID
    parameters: dict[str, Any]
    effects: Effects

    @property
    def subject(self):
        return self.parameters["subject"]


@pytest.fixture(scope="module")
def begun(deployments, tmp_path_factory):
    """The first run of each test, all at once: starting a process takes longest, and they start side by side."""
    folder = tmp_path_factory.mktemp("effects")

    def begin(test, flow, **parameters):
        effects = Effects(folder / test)
        parameters |= {"log": effects.path, "subject": unique(test)}
        return Begun(start(deployments[flow], parameters), parameters, effects)

    runs = {
        "answered": begin("answered", "asking", dies_in_attempt=2),
        "unanswered": begin("unanswered", "asking", within_seconds=2),
        "killed": begin("killed", "parent", go=str(folder / "go")),
        "signalled": begin("signalled", "blocking"),
        "cancelled": begin("cancelled", "blocking-thread"),
    }
    yield runs
    for each in runs.values():
        # Where its test was not run, it would block for minutes yet.
        if (pid := blocked_in(each)) and not gone(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def subject():
    return unique("subject")


def suspended(flow_run_id):
    return wait_for(lambda: state_of(flow_run_id).name == "Suspended", "suspension")


def process_of(book, name, subject):
    return int(operation_of(book, name, subject)["owner"].split(":")[1])


def attempts(book, name, subject):
    operation = operation_of(book, name, subject)
    return book.query(
        "SELECT * FROM steward.operation_attempts WHERE operation_id = %(id)s ORDER BY attempt", id=operation["id"]
    )


def pid_in(effects, prefix):
    return int(next(line for line in effects if line.startswith(prefix)).split()[-1])


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_an_approval_ends_the_process_keeps_the_resource_and_is_asked_for_once(book, begun):
    """The process that was to record the answer is killed, so that another run has to find it."""
    asking = begun["answered"]
    suspended(asking.run)
    wait_for(lambda: operation_of(book, "asking", asking.subject)["state"] == "waiting", "operation that waits")
    wait_for(lambda: gone(pid_in(asking.effects, "attempt 1 in")), "end of the process")
    waiting = operation_of(book, "asking", asking.subject)
    assert waiting["lease_until"] <= datetime.now(UTC)
    assert 0 < (waiting["deadline"] - datetime.now(UTC)).total_seconds() < 600
    with pytest.raises(Held):
        claim(book, Identity("other", resource=f"asking/{asking.subject}"), Run(), Terms(wait_seconds=0))

    resume_flow_run(asking.run, run_input={"approved": True, "by": "the operator on duty", "remark": "looks well"})
    wait_for(lambda: any(line.startswith("attempt 2 in") for line in asking.effects), "second attempt")
    wait_for(lambda: gone(pid_in(asking.effects, "attempt 2 in")), "death of the process")
    # As the reaper does: a new run, since the dead one does not come back.
    assert samples.asking(asking.effects.path, asking.subject) == "the operator on duty: looks well"
    assert operation_of(book, "asking", asking.subject)["state"] == "done"
    assert [line for line in asking.effects if line.startswith("made")] == ["made before", "made after"]


def test_an_approval_that_nobody_gives_in_time_lets_the_next_run_turn_back(book, begun):
    asking = begun["unanswered"]
    wait_for(lambda: attempts(book, "asking", asking.subject)[0]["ended"] == "waiting", "operation that waits")
    wait_for(lambda: operation_of(book, "asking", asking.subject)["deadline"] < datetime.now(UTC), "its deadline")
    assert samples.asking(asking.effects.path, asking.subject, within_seconds=2) == "turned back"
    assert operation_of(book, "asking", asking.subject)["state"] == "undone"
    assert list(asking.effects)[-1] == "undone"
    assert asking.effects.count("made after") == 0


def test_an_approval_in_a_run_that_no_worker_can_start_again_is_refused(book, effects, subject):
    with pytest.raises(BadInput, match="only a deployed flow's run"):
        samples.asking(effects.path, subject)
    assert operation_of(book, "asking", subject)["state"] == "failed"


def test_a_parent_that_is_killed_finds_its_child_again_and_the_child_runs_once(book, begun):
    parent = begun["killed"]
    part = f"{parent.subject}/part"
    wait_for(lambda: parent.effects.count(f"{part} begun"), "child at work")
    os.kill(process_of(book, "parent", parent.subject), signal.SIGKILL)
    Path(parent.parameters["go"]).touch()
    result = samples.parent(**parent.parameters)
    whole, below = operation_of(book, "parent", parent.subject), operation_of(book, "child", part)
    assert result == [f"worked on {part}", below["id"]]
    assert (whole["attempt"], below["attempt"], below["period"]) == (2, 1, "2025-07-31")
    assert [parent.effects.count(f"{part} begun"), parent.effects.count(f"{part} done")] == [1, 1]


def test_a_child_that_failed_gets_one_more_run_from_the_parents_next(book, deployments, effects, subject):
    parameters = {"log": effects.path, "subject": subject, "fails_in_attempt": 1}
    with pytest.raises(ChildFailed, match="failed: ValueError: no such thing"):
        samples.parent(**parameters)
    assert samples.parent(**parameters)[0] == f"worked on {subject}/part"
    assert operation_of(book, "child", f"{subject}/part")["attempt"] == 2
    assert effects.count(f"{subject}/part done") == 1


def test_a_child_whose_process_died_before_it_claimed_anything_is_begun_anew(
    book, deployments, effects, subject, monkeypatch
):
    begin, lost = children._start, []

    def lose_the_first(*asked):
        run = begin(*asked)
        if not lost:
            lost.append(run.id)
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(run.id, Running(), force=True)
                client.set_flow_run_state(run.id, Crashed(name=children.UNCLAIMED), force=True)
        return run

    monkeypatch.setattr(children, "_start", lose_the_first)
    assert samples.parent(log=effects.path, subject=subject)[0] == f"worked on {subject}/part"
    below = operation_of(book, "child", f"{subject}/part")
    assert (below["attempt"], below["flow_run_id"] not in lost) == (1, True)


def test_a_child_that_has_not_begun_when_its_parent_has_ended_is_skipped(book, effects, subject):
    above = claim(book, Identity("above", subject), Run(), Terms(wait_seconds=0))
    with tags(parent_tag(above)):
        assert samples.child(effects.path, f"{subject}/wanted") == f"worked on {subject}/wanted"
        claims.fail(book, above, "gave up")
        state = samples.child(effects.path, f"{subject}/unwanted", return_state=True)
    assert (state.type, state.name) == ("CANCELLED", "Skipped")
    assert effects.count(f"{subject}/unwanted begun") == 0


def test_a_child_that_comes_too_late_says_which_operation_did_its_work(book, effects, subject):
    samples.verified(effects.path, subject)
    above = claim(book, Identity("above", subject), Run(), Terms(wait_seconds=0))
    with tags(parent_tag(above)):
        state = samples.verified(effects.path, subject, return_state=True)
    with get_client(sync_client=True) as client:
        labels = client.read_flow_run(state.state_details.flow_run_id).labels
    assert labels["steward.operation"] == operation_of(book, "verified", subject)["id"]


def test_a_run_that_is_told_to_end_releases_its_operation_and_does_nothing_more(book, begun):
    """By a signal, and by a cancellation in the UI where the step is stuck in a thread, which nothing can interrupt."""
    runs = {"blocking": begun["signalled"], "blocking-thread": begun["cancelled"]}
    wait_for(lambda: all(blocked_in(each) for each in runs.values()), "steps at work")
    asked = time.monotonic()
    os.kill(blocked_in(runs["blocking"]), signal.SIGTERM)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(runs["blocking-thread"].run, Cancelling())
    released = {
        name: wait_for(lambda each=each, name=name: is_released(book, name, each.subject), "release", GRACE_SECONDS)
        for name, each in runs.items()
    }
    wait_for(lambda: all(gone(blocked_in(each)) for each in runs.values()), "end of the processes", GRACE_SECONDS)
    assert time.monotonic() - asked < GRACE_SECONDS
    assert [ended(each.run).type for each in runs.values()] == ["CRASHED", "CANCELLED"]
    for name, each in runs.items():
        # By now a beat would have come, had one come after the release.
        assert operation_of(book, name, each.subject)["lease_until"] == released[name]["lease_until"]
        assert each.effects.count("unblocked") == 0
        keys = {"id": released[name]["id"]}
        assert book.query("SELECT state FROM steward.operation_steps WHERE operation_id = %(id)s", **keys) == [
            {"state": "intended"}
        ]
        assert book.query("SELECT effect_id FROM steward.operation_effects WHERE operation_id = %(id)s", **keys) == [
            {"effect_id": "half-made"}
        ]


def blocked_in(begun):
    return next((int(line.split()[-1]) for line in begun.effects if line.startswith("blocked in")), None)


def is_released(book, name, subject):
    row = operation_of(book, name, subject)
    (attempt,) = attempts(book, name, subject)
    return row if attempt["ended"] == "released" and row["lease_until"] <= datetime.now(UTC) else None
