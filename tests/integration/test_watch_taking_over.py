"""What nobody holds is taken up once, by a new run; what was ended on purpose is not."""

import signal
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Crashed, Pending, Running, Scheduled

from replica import inventory
from services.watch import tidying
from services.watch.runs import connected
from steward.migrations.apply import migrate
from steward.operations import claims
from steward.operations.claims import Identity, Run, Terms, claim
from steward.operations.ledger import Ledger
from steward.settings import load
from steward.verdicts import Verdict
from tasks.children import UNCLAIMED
from tasks.lineage import asked_for
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import changed, fresh_database
from tests.watching.ground import (
    LEASE_SECONDS,
    InProcess,
    Server,
    hurried,
    the_operation,
    until,
    watching,
    written,
)

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def server(replica):
    with recording_in(replica), get_client(sync_client=True) as client:
        yield Server(client)


@pytest.fixture(scope="module")
def database(replica):
    with fresh_database(hurried(load(inventory.settings_file(replica)))) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture(scope="module")
def settings_file(database, tmp_path_factory):
    return written(database, tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def idle(server, database, settings_file):
    """A deployment whose runs no worker takes: their states are the test's to set."""
    name = database.postgres.url.rpartition("/")[2]
    with server.deployed(settings_file, f"{name}-idle", pool=name) as deployment_id:
        yield deployment_id


@pytest.fixture
def book(database):
    book = Ledger(database)
    book.query("TRUNCATE steward.operations, steward.operation_expectations, steward.operation_alarms CASCADE")
    yield book
    book.close()


@pytest.fixture
def watch(database, book):
    return InProcess(database)


def lost(book, run_id, idle, terms=None):
    """An operation whose process died with its lease."""
    held = claim(book, Identity("watched", "lost", "once"), Run(run_id, str(idle), {"name": "lost"}), terms)
    expire(book, held)
    return held


def expire(book, held):
    book.query("UPDATE steward.operations SET lease_until = now() - interval '1 h' WHERE id = %(id)s", id=held.id)


@pytest.mark.usefixtures("worker")
def test_a_killed_flow_is_finished_by_one_new_run_with_two_watches_at_work(
    replica, server, book, settings_file, tmp_path
):
    with server.deployed(settings_file, f"{tmp_path.name}-{time.time():.0f}") as deployment_id:
        with watching(replica, settings_file, tmp_path, count=2) as watches:
            run = killed_and_finished(server, book, deployment_id, tmp_path / "gate")
            assert [watch.stop() for watch in watches] == [0, 0]
        ended, runs = the_operation(book), {run.id: run for run in server.of(deployment_id)}
        assert len(runs) == 2
        assert runs[run.id].state.is_crashed()
    assert (ended["attempt"], ended["result"]) == (2, 2)
    assert book.query("SELECT name, tries FROM steward.operation_steps ORDER BY ordinal") == [
        {"name": "remember", "tries": 1},
        {"name": "hold", "tries": 2},
    ]
    assert runs[ended["flow_run_id"]].parameters == run.parameters
    assert {"period:once", f"operation:{ended['id']}"} <= set(runs[ended["flow_run_id"]].tags)


def killed_and_finished(server, book, deployment_id, gate):
    """A run whose process is killed at its second step, once the ledger has brought its operation to an end."""
    parameters = {"name": "a", "gate": str(gate)}
    run = server.client.create_flow_run_from_deployment(deployment_id, parameters=parameters)
    held = until(lambda: begun(book, "hold"), 60, "flow at its second step")
    psutil.Process(int(held["owner"].split(":")[1])).send_signal(signal.SIGKILL)
    gate.touch()
    until(lambda: the_operation(book, state="done"), 60, "end of the operation")
    return run


def begun(book, step):
    steps = book.query("SELECT 1 FROM steward.operation_steps WHERE name = %(step)s", step=step)
    return the_operation(book) if steps else None


def test_two_watches_make_one_run_of_one_lost_lease(replica, server, database, book, idle):
    lost(book, server.made(idle, Running()), idle)
    before = len(server.of(idle))
    watches = [InProcess(database), InProcess(database)]
    threads = [threading.Thread(target=reap_recording, args=(replica, watch)) for watch in watches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.of(idle)) == before + 1
    assert the_operation(book)["dispatches"] == 1


def reap_recording(replica, watch):
    with recording_in(replica), connected() as runs:
        watch.reap(runs)


def test_a_run_that_prefect_is_about_to_retry_is_not_dead(server, book, watch, idle):
    retrying = server.made(idle, Scheduled(name="AwaitingRetry", scheduled_time=datetime.now(UTC)))
    lost(book, retrying, idle)
    watch.reap(server.runs)
    assert the_operation(book)["dispatches"] == 0


def test_a_cancelled_operation_is_not_taken_up(server, book, watch, idle):
    held = lost(book, server.made(idle, Cancelled()), idle)
    watch.reap(server.runs)
    ended = the_operation(book)
    assert (ended["state"], ended["next_run_id"]) == ("cancelled", None)
    assert ended["token"] > held.token


def test_our_own_cancelled_names_are_no_cancellation(server, book, watch, idle):
    lost(book, server.made(idle, Cancelled(name="Superseded")), idle)
    watch.reap(server.runs)
    assert the_operation(book)["dispatches"] == 1


def test_attempts_that_died_too_often_are_for_a_person(server, book, watch, idle):
    for _ in range(2):
        lost(book, server.made(idle, Crashed()), idle, Terms(max_attempts=2))
    watch.reap(server.runs)
    ended = the_operation(book)
    assert (ended["state"], ended["verdict"], ended["dispatches"]) == ("failed", "UNKNOWN", 0)
    assert "2 attempts died; HINT: read the log" in ended["error"]


def test_an_operation_past_its_deadline_is_failed(server, book, watch, idle):
    lost(book, server.made(idle, Running()), idle, Terms(deadline_seconds=0))
    watch.reap(server.runs)
    assert (the_operation(book)["state"], the_operation(book)["verdict"]) == ("failed", "UNKNOWN")


def test_a_run_without_a_deployment_is_failed_and_says_why(server, book, watch):
    expire(book, claim(book, Identity("watched", "x", "once"), Run(str(uuid.uuid4()))))
    watch.reap(server.runs)
    assert (the_operation(book)["state"], "no deployment" in the_operation(book)["error"]) == ("failed", True)


def test_a_deployment_that_is_gone_is_failed_and_says_why(server, book, watch):
    expire(book, claim(book, Identity("watched", "x", "once"), Run(str(uuid.uuid4()), str(uuid.uuid4()))))
    watch.reap(server.runs)
    assert (the_operation(book)["state"], "HINT: deploy it" in the_operation(book)["error"]) == ("failed", True)


def test_a_released_operation_is_taken_up_at_once(server, book, watch, idle):
    run = Run(server.made(idle, Running()), str(idle), {"name": "b"})
    claims.release(book, claim(book, Identity("watched", "b", "once"), run))
    watch.reap(server.runs)
    assert the_operation(book)["dispatches"] == 1


def test_what_waits_for_a_resource_is_started_when_it_is_free_the_oldest_first(server, book, watch, idle):
    run = Run(str(uuid.uuid4()), str(idle), {"name": "c"})
    held = claim(book, Identity("watched", "a", "once", "shared"), run)
    for number, name in enumerate("bc"):
        book.query(
            "INSERT INTO steward.operations (name, subject, period, resource, due_at, deployment_id, parameters)"
            " VALUES ('watched', %(name)s, 'once', 'shared', now() - interval '1 h' + %(n)s * interval '1 s',"
            ' %(deployment)s, \'{"name": "c"}\')',
            name=name,
            n=-number,
            deployment=idle,
        )
    watch.reap(server.runs)
    assert [row["dispatches"] for row in book.query("SELECT dispatches FROM steward.operations ORDER BY id")] == [0] * 3
    claims.conclude(book, held, None, None, None)
    watch.reap(server.runs)
    assert [row["dispatches"] for row in book.query("SELECT dispatches FROM steward.operations ORDER BY id")] == [
        0,
        0,
        1,
    ]


def test_a_waiting_operation_stays_until_its_deadline(server, book, watch, idle):
    run = Run(server.made(idle, Scheduled(scheduled_time=datetime(2100, 1, 1, tzinfo=UTC))), str(idle))
    held = claim(book, Identity("watched", "d", "once"), run)
    claims.wait(book, held, 3600)
    watch.reap(server.runs)
    assert the_operation(book)["state"] == "waiting"
    book.query("UPDATE steward.operations SET deadline = now()")
    watch.reap(server.runs)
    assert the_operation(book)["state"] == "failed"


def test_a_pending_orphan_is_replaced_once_with_its_parameters_tags_and_time(server, database, book, idle):
    watch = InProcess(changed(database, "operations", pending_seconds=0.1))
    before = {str(run.id) for run in server.of(idle)}
    orphan = server.made(idle, Pending(), parameters={"name": "orphan"}, tags=["period:once"])

    def is_ended():
        watch.reap(server.runs)
        return server.state_of(orphan).is_crashed()

    # Two rounds may follow each other faster than the orphan grows old.
    until(is_ended, 10, "end of the orphan")
    watch.reap(server.runs)
    [new] = [run for run in server.of(idle) if str(run.id) not in {*before, orphan}]
    assert (new.parameters, new.tags) == ({"name": "orphan"}, ["period:once"])
    assert new.expected_start_time == server.client.read_flow_run(uuid.UUID(orphan)).expected_start_time


def test_what_was_asked_for_once_is_known_as_that_however_often_its_run_is_replaced(server, database, book, idle):
    watch = InProcess(changed(database, "operations", pending_seconds=0.1))
    asked = server.made(idle, Pending())

    def replaced(run_id):
        """The new one, made to be PENDING as the old one was."""
        before = {str(run.id) for run in server.of(idle)}

        def is_ended():
            watch.reap(server.runs)
            return server.state_of(run_id).is_crashed()

        until(is_ended, 10, "end of the orphan")
        [new] = [run for run in server.of(idle) if str(run.id) not in before]
        server.client.set_flow_run_state(new.id, Pending(), force=True)
        return new

    first = replaced(asked)
    second = replaced(str(first.id))
    assert [asked_for(run) for run in (first, second)] == [asked, asked]
    assert second.tags == [f"instead-of:{asked}"]


def test_a_run_whose_process_died_before_it_claimed_anything_is_replaced_once(server, database, book, idle):
    lost(book, server.made(idle, Crashed()), idle)
    book.query("UPDATE steward.operations SET state = 'done', ended_at = clock_timestamp()")
    watch = InProcess(changed(database, "operations", pending_seconds=0.1, lease_seconds=0.2, heartbeat_seconds=0.1))
    unclaimed = server.made(idle, Running(), parameters={"name": "unclaimed"})

    def is_ended():
        watch.reap(server.runs)
        return server.state_of(unclaimed).is_crashed()

    until(is_ended, 10, "end of the run")
    watch.reap(server.runs)
    [new] = [run for run in server.of(idle) if f"instead-of:{unclaimed}" in run.tags]
    assert new.parameters == {"name": "unclaimed"}
    assert server.state_of(unclaimed).name == UNCLAIMED


def test_a_running_run_of_a_deployment_that_never_claimed_anything_is_left_alone(server, database, book, idle):
    watch = InProcess(changed(database, "operations", pending_seconds=0.1, lease_seconds=0.2, heartbeat_seconds=0.1))
    stranger = server.made(idle, Running())
    time.sleep(0.5)
    watch.reap(server.runs)
    assert server.state_of(stranger).is_running()


def test_a_young_pending_run_is_left_alone(server, book, watch, idle):
    young = server.made(idle, Pending())
    watch.reap(server.runs)
    assert server.state_of(young).is_pending()


def test_a_run_whose_process_died_after_the_operations_end_is_shown_as_the_ledger_has_it(
    server, book, watch, idle, monkeypatch
):
    monkeypatch.setattr(tidying, "TIDY_AFTER_SECONDS", 0.0)
    run_id = server.made(idle, Running())
    held = claim(book, Identity("watched", "e", "once"), Run(run_id, str(idle)))
    claims.conclude(book, held, Verdict.REFUTED, None, "a finding")
    watch.reap(server.runs)
    assert server.state_of(run_id).is_failed()


def test_a_process_that_died_while_it_waited_for_its_own_retry_is_taken_up(server, book, watch, idle):
    run_id = server.made(idle, Scheduled(name="AwaitingRetry", scheduled_time=datetime.now(UTC) - timedelta(hours=1)))
    held = claim(book, Identity("watched", "f", "once"), Run(run_id, str(idle), {"name": "f"}))
    claims.fail(book, held, "SearchAway: no answer")
    for _ in range(2):
        watch.reap(server.runs)
    assert (the_operation(book)["state"], the_operation(book)["dispatches"]) == ("due", 1)
    assert server.state_of(run_id).is_crashed()


def test_nobody_is_reaped_before_a_whole_lease_of_unbroken_contact(server, database, book, idle):
    lost(book, server.made(idle, Running()), idle)
    watch = InProcess(database, settled=False)
    watch.reap(server.runs)
    assert the_operation(book)["dispatches"] == 0
    time.sleep(LEASE_SECONDS + 0.1)
    watch.bookkeeping.round()
    assert not watch.situation.is_settled, "two seconds of silence are no contact"
