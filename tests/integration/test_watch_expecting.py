"""What was missed is made good by policy, and what was not VERIFIED for too long is told: on a real ledger."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Scheduled
from prometheus_client import CollectorRegistry

from replica import inventory
from services.watch.exporter import LedgerCollector
from steward.migrations.apply import migrate
from steward.operations import claims
from steward.operations.claims import Identity, Run, claim
from steward.operations.ledger import Ledger
from steward.settings import load
from steward.verdicts import Verdict
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import fresh_database
from tests.watching.ground import LEASE_SECONDS, InProcess, Server, expectation, hurried, the_operation, until, written

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
def idle(server, database, tmp_path_factory):
    name = database.postgres.url.rpartition("/")[2]
    settings_file = written(database, tmp_path_factory.mktemp("expected"))
    with server.deployed(settings_file, f"{name}-idle", pool=name) as deployment_id:
        yield deployment_id


@pytest.fixture
def book(database):
    book = Ledger(database)
    book.query("TRUNCATE steward.operations, steward.operation_expectations, steward.operation_alarms CASCADE")
    yield book
    book.close()


def since(book, days, expected):
    """As if it had been expected for so many days."""
    book.query(
        "INSERT INTO steward.operation_expectations (name, subject, since, cron, period)"
        " VALUES (%(name)s, %(subject)s, now() - %(days)s * interval '1 day', %(cron)s, %(period)s)",
        days=days,
        **expected.model_dump(include={"name", "subject", "cron", "period"}),
    )


def daily(idle_name="watched/none", **values):
    """A night whose newest tick lies a minute before now, or up to an hour: its grace is a minute."""
    tick = datetime.now(UTC) - timedelta(minutes=2)
    cron = f"{tick.minute} {tick.hour} * * *"
    return expectation(
        name="watched", cron=cron, deployment=idle_name, grace_minutes=1, parameters={"name": "a"}, **values
    )


def states(book):
    rows = book.query("SELECT state FROM steward.operations ORDER BY period")
    return [row["state"] for row in rows]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("skip", ["skipped"] * 3), ("latest", ["skipped", "skipped", "due"]), ("all", ["due"] * 3)],
)
def test_three_missed_days_enter_the_ledger_by_policy_once(database, book, policy, expected):
    night = daily(catch_up=policy)
    since(book, 2.5, night)
    for _ in range(2):
        # Two watches, one after the other.
        InProcess(database, [night])
    assert states(book) == expected


def test_a_new_expectation_and_a_new_schedule_begin_now(database, book):
    InProcess(database, [daily()])
    assert states(book) == []
    book.query("UPDATE steward.operation_expectations SET since = now() - interval '9 days', cron = '0 0 * * *'")
    InProcess(database, [daily()])
    assert states(book) == []


def test_a_missed_period_is_started_with_its_period_and_parameters(server, database, book, idle):
    night = daily(idle_name=name_of(server, idle))
    since(book, 0.5, night)
    watch = InProcess(database, [night])
    watch.reap(server.runs)
    missed = the_operation(book)
    run = server.client.read_flow_run(missed["next_run_id"])
    assert run.parameters["name"] == "a"
    assert f"period:{missed['period']}" in run.tags


def name_of(server, deployment_id):
    return f"watched/{server.client.read_deployment(deployment_id).name}"


def test_the_run_that_the_schedule_made_before_the_outage_is_not_doubled(server, database, book, idle):
    night = daily(idle_name=name_of(server, idle))
    since(book, 0.5, night)
    watch = InProcess(database, [night])
    late = scheduled(server, idle, the_operation(book)["due_at"])
    watch.reap(server.runs)
    assert str(the_operation(book)["next_run_id"]) == late


def test_a_late_run_of_a_period_that_is_skipped_does_not_begin(server, database, book, idle):
    night = daily(idle_name=name_of(server, idle), catch_up="skip")
    since(book, 0.5, night)
    watch = InProcess(database, [night])
    late = scheduled(server, idle, the_operation(book)["due_at"])
    watch.reap(server.runs)
    state = server.state_of(late)
    assert (state.is_cancelled(), state.name) == (True, "Skipped")


def scheduled(server, deployment_id, at):
    """The id of a run as Prefect's scheduler makes it."""
    run = server.client.create_flow_run_from_deployment(deployment_id, state=Scheduled(scheduled_time=at))
    return str(run.id)


def test_a_missed_period_whose_deployment_is_gone_is_failed_and_says_what_to_do(server, database, book):
    night = daily(idle_name="watched/nowhere")
    since(book, 0.5, night)
    InProcess(database, [night]).reap(server.runs)
    assert the_operation(book)["state"] == "failed"
    assert "Prefect has no watched/nowhere HINT: deploy it" in the_operation(book)["error"]


def a_night(book, days_ago, verdict=Verdict.VERIFIED):
    """A night that ended so many days ago."""
    held = claim(book, Identity("night", "a", f"-{days_ago}"), Run(f"00000000-0000-0000-0000-{days_ago:012}"))
    claims.conclude(book, held, verdict, None, None)
    by = timedelta(days=days_ago)
    book.query(
        "UPDATE steward.operations SET began_at = began_at - %(by)s, ended_at = ended_at - %(by)s WHERE id = %(id)s",
        id=held.id,
        by=by,
    )
    book.query(
        "UPDATE steward.operation_attempts SET began_at = began_at - %(by)s, ended_at = ended_at - %(by)s"
        " WHERE operation_id = %(id)s",
        id=held.id,
        by=by,
    )


def watched_night():
    return expectation(verified_within_hours=26, event="steward.test", cron="0 0 1 1 *", period="%Y")


def test_a_night_that_is_overdue_raises_one_event_a_day_and_one_when_it_is_well_again(server, database, book):
    a_night(book, 2)
    a_night(book, 1, Verdict.UNKNOWN)
    InProcess(database, [watched_night()])
    assert alarms(book) == [("steward.test.overdue", False)], "kept while Prefect is not asked"
    InProcess(database, [watched_night()]).reap(server.runs)
    assert alarms(book) == [("steward.test.overdue", True)]
    a_night(book, 0)
    for _ in range(2):
        watch = InProcess(database, [watched_night()])
        watch.reap(server.runs)
    assert alarms(book) == [("steward.test.overdue", True), ("steward.test.recovered", True)]
    ids = {str(row["id"]) for row in book.query("SELECT id FROM steward.operation_alarms")}
    until(lambda: ids <= events_told(server), 20, "the events in Prefect")


def alarms(book):
    rows = book.query("SELECT event, sent_at FROM steward.operation_alarms ORDER BY occurred_at")
    return [(row["event"], row["sent_at"] is not None) for row in rows]


def events_told(server):
    asked = {"filter": {"event": {"prefix": ["steward.test"]}}}
    return {each["id"] for each in server.client.request("POST", "/events/filter", json=asked).json()["events"]}


def test_the_figures_are_the_ledgers(database, book):
    a_night(book, 2)
    a_night(book, 1, Verdict.REFUTED)
    doubtful = claim(book, Identity("night", "a", "doubt"), Run())
    claims.fail(book, doubtful, "InDoubt: step mail was begun")
    told = metrics(InProcess(database, [watched_night()]))
    assert told("steward_operations", state="done", verdict="VERIFIED") == 1
    assert told("steward_operations", state="failed", verdict="UNKNOWN") == 1
    assert told("steward_operation_attempts_total", ended="done") == 2
    assert told("steward_operation_in_doubt") == 1
    assert told("steward_operation_overdue") == 1
    age = datetime.now(UTC).timestamp() - told("steward_operation_last_verified_timestamp_seconds")
    assert 2 * 86400 <= age < 2 * 86400 + 60
    assert 0 <= told("steward_operation_last_duration_seconds") < 60


def test_lateness_counts_from_the_tick(database, book):
    night = daily()
    since(book, 0.5, night)
    InProcess(database, [night])
    claim(book, Identity("watched", "a", the_operation(book)["period"]), Run())
    told = metrics(InProcess(database, [night]), name="watched")
    assert 120 <= told("steward_operation_last_lateness_seconds") < 300


def metrics(watch, name="night"):
    """A metric's value for one operation, as a scrape would read it."""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(watch.situation))
    return lambda metric, **labels: registry.get_sample_value(metric, {"name": name, "subject": "a", **labels})


def test_leases_from_before_a_clock_was_set_back_do_not_outlive_it(database, book):
    held = claim(book, Identity("night", "a", "1"), Run())
    book.query("UPDATE steward.operations SET lease_until = now() + interval '1 h'")
    InProcess(database)
    left = (the_operation(book)["lease_until"] - datetime.now(UTC)).total_seconds()
    assert left < LEASE_SECONDS + 1
    assert claim(book, Identity("night", "a", "1"), Run()).token > held.token
