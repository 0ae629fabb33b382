"""A release is let out on proof and on people's word, and taken back on harm, on a person's word, and when nobody decides."""

from __future__ import annotations

import tomllib
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
import tomli_w
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import PrefectHTTPStatusError

from flows.production_rollout import production_rollout
from replica import faults, inventory, start, stop
from replica.servers import SERVERS as EVERY
from services.watch.guardian import Guardian
from services.watch.situation import Situation
from steward.clients import rollouts
from steward.clients.application_host import open_application_host
from steward.clients.flag_store import change_flag, kill_flag, read_flag
from steward.clients.haproxy import LoadBalancer, open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts_reading import read_baseline
from steward.clients.rollouts_releases import releases
from steward.clients.rollouts_said import last_judgement, say
from steward.clients.rollouts_withdrawal import withdraw
from steward.errors import BadInput
from steward.evidence.envelopes import verify
from steward.evidence.signers import load_public_key
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from steward.operations.decisions import cancel, read_operation
from steward.operations.errors import Held
from steward.operations.ledger import Ledger
from steward.rollout.decision import Decision
from steward.rollout.gates import GatesNeeded
from steward.rollout.plan import Guard, Metric, Must
from steward.rollout.preconditions import NotReady
from steward.rollout.report import Cause, RolloutNotVerified
from steward.rollout.state import State
from steward.settings import load
from steward.verdicts import Verdict
from tests.flows import rollout_ground as at
from tests.flows.durable_ground import HEARTBEAT_SECONDS, LEASE_SECONDS, wait_for
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import recording_in
from tests.integration.notices_ground import listening

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def place(replica):
    place = start.up(replica.state, EVERY, at.SERVERS)
    yield place
    stop.down(place.state, EVERY, at.SERVERS)


@pytest.fixture(scope="module")
def settings_file(place, tmp_path_factory):
    """The replica's own, with a lease of the ledger that a killed run's successor need not wait for."""
    written = tomllib.loads(inventory.settings_file(place).read_text())
    written["operations"] = {"lease_seconds": LEASE_SECONDS, "heartbeat_seconds": HEARTBEAT_SECONDS}
    path = tmp_path_factory.mktemp("rollouts") / "settings.toml"
    path.write_text(tomli_w.dumps(written))
    return path


@pytest.fixture(scope="module")
def peopled(settings_file):
    """Users come all the while: what is slow is known before the first test begins."""
    settings = load(settings_file)
    at.lay(settings)
    with at.users(settings):
        wait_for(lambda: _baseline(settings), "a baseline")
        yield settings
    with open_application_host(settings, at.ENVIRONMENT) as host:
        for colour in ("blue", "green"):
            host.empty(colour)


@pytest.fixture
def settings(place, peopled, settings_file, monkeypatch):
    """The steady release has the traffic, and nobody is exposed."""
    monkeypatch.setenv("STEWARD_SETTINGS", str(settings_file))
    at.lay(peopled)
    with recording_in(place):
        yield peopled


def _baseline(settings):
    try:
        return read_baseline(settings, at.plan(), "blue")
    except NotReady:
        return None


def rolled_out(period="", **fields):
    """The report, whatever its verdict."""
    try:
        with tags(*(f"period:{each}" for each in [period] if each)):
            return production_rollout(at.request(**fields))
    except RolloutNotVerified as found:
        return found.report


@contextmanager
def under_way(place, **fields):
    """A rollout in a thread of its own; its report when it has ended."""

    def run():
        with recording_in(place):
            return rolled_out(**fields)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run)


def reached(settings, *, step=1, state=State.EXPOSING):
    """The rollout that is there, and exposes users."""

    def look():
        rollout = at.last_rollout(settings)
        return rollout if rollout and (rollout.step, rollout.state) == (step, state) else None

    return wait_for(look, f"step {step}")


def a_person_says(settings, rollout, decision):
    with connect(settings) as db:
        say(db, rollouts.read(db, rollout.id), decision, who="ada", why="as it looks to me", via="a test")


def assert_nobody_is_exposed(settings):
    flag = at.flag_now(settings).flag
    assert flag.killed
    assert at.live(settings) == ["blue"]


def test_a_release_goes_to_everybody_on_proof_and_approval_although_its_run_is_killed(place, settings, settings_file):
    fields = {"plan": at.plan(approvals=(50,), lease_seconds=60)}
    period = f"good/{uuid.uuid4()}"
    asked = at.request(**fields)
    run_killed(
        place,
        settings_file,
        "flows.production_rollout.production_rollout",
        asked,
        Death("before", "prove"),
        period=period,
    )
    begun = at.last_rollout(settings)
    with under_way(place, **fields, period=period) as report:
        wait_for(asked_for_approval, "a question")
        with faults.frozen(place.state, "prometheus"):
            with pytest.raises(Held, match="rollout/production"):
                production_rollout(at.request("slow"))
            assert judged(settings, begun) is Decision.UNKNOWN
            assert asked_for_approval(), "who was filling in the form has lost it"
        assert not report.done()
        wait_for(lambda: answered(go_on=True, by="ada", why="looks well"), "answer that is taken")
        found = report.result()

    assert found.verdict is Verdict.VERIFIED
    assert found.rollout == begun.id
    assert [(each.exposure, each.proved) for each in found.ending.steps] == [(50, True), (100, True), (100, True)]
    assert [(each.decision, each.who, each.via) for each in found.said] == [("approve", "ada", "prefect")]
    flag = at.flag_now(settings).flag
    assert (flag.split.exposure_percent, flag.lease_until, flag.killed) == (100, None, False)
    assert at.live(settings) == ["green"]
    with connect(settings) as db:
        (release, *_) = releases(db, at.ENVIRONMENT)
    assert release.may_be_returned_to
    assert release.certified_by is None
    assert_stated(settings, found)


def assert_stated(settings, report):
    with connect(settings) as db:
        (row, *_) = list_statements(db, "production-rollout", subject=at.ENVIRONMENT, period=report.period)
    signed = verify(row.envelope.encode(), load_public_key(settings.evidence.public_key))
    figures = parse_statement(signed.payload).figures
    assert figures["certified"] is report.certified
    assert len(figures["steps"]) == len(report.ending.steps)
    assert row.verdict is report.verdict


def paused_runs():
    with get_client(sync_client=True) as client:
        name = FlowRunFilterName(any_=["roll out good"])
        kind = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(name=name, state=kind))


def asked_for_approval():
    """The run whose form asks for a person's approval."""
    with get_client(sync_client=True) as client:
        for run in paused_runs():
            form = run.state.state_details.run_input_keyset
            # Paused a moment before its form is there.
            with suppress(PrefectHTTPStatusError):
                if "proved itself" in client.read_flow_run_input(run.id, form["description"]):
                    return run
    return None


def answered(**word):
    """Whether the form took it: one may be asked anew in that moment, for a server that was slow to show it."""
    run = asked_for_approval()
    with get_client(sync_client=True) as client:
        return run is not None and client.resume_flow_run(run.id, run_input=word).status is SetStateStatus.ACCEPT


def judged(settings, rollout):
    with connect(settings) as db:
        return last_judgement(db, rollout.id).decision


def test_harm_that_is_shown_takes_everybody_back_and_refutes_the_release(settings):
    report = rolled_out(release="broken", plan=at.plan(metrics=(at.ERROR,)))

    assert (report.verdict, report.ending.cause) == (Verdict.REFUTED, Cause.HARM)
    assert not report.certified
    assert "error" in report.ending.why
    assert report.withdrawn_seconds is not None
    assert_nobody_is_exposed(settings)
    assert_stated(settings, report)


@pytest.mark.parametrize("release", ["stillborn", "sickly"])
def test_a_release_that_does_not_come_up_gets_no_user(settings, release):
    report = rolled_out(release=release)

    assert (report.verdict, report.ending.cause) == (Verdict.UNKNOWN, Cause.FAILED)
    assert report.exposed_at is None
    assert_nobody_is_exposed(settings)


def test_a_person_takes_it_back_at_any_time(place, settings):
    with under_way(place, plan=at.plan(minimum_seconds=60)) as report:
        a_person_says(settings, reached(settings), "roll_back")
        found = report.result()

    assert (found.verdict, found.ending.cause) == (Verdict.UNKNOWN, Cause.PERSON)
    assert "ada" in found.ending.why
    assert_nobody_is_exposed(settings)


def test_who_takes_it_back_in_the_moment_of_switching_over_has_the_last_word(settings, monkeypatch):
    direct = LoadBalancer.direct

    def late(balancer, name):
        rollout = at.last_rollout(settings)
        if rollout.colour == name and rollout.state is State.PREPARING:
            withdraw(settings, rollout.id, "ada", "I do not like it")
        direct(balancer, name)

    monkeypatch.setattr(LoadBalancer, "direct", late)
    report = rolled_out()

    assert (report.ending.cause, report.exposed_at) == (Cause.PERSON, None)
    assert "ada" in report.ending.why
    assert_nobody_is_exposed(settings)


def test_a_flag_that_is_killed_by_hand_ends_the_rollout(place, settings):
    with under_way(place, plan=at.plan(minimum_seconds=60)) as report:
        reached(settings)
        with connect(settings) as db:
            kill_flag(db, at.FLAG, who="ada", why="I do not like it")
        found = report.result()

    assert found.ending.cause is Cause.PERSON
    assert_nobody_is_exposed(settings)


def test_what_too_few_users_meet_goes_on_by_a_persons_word_alone_and_the_evidence_says_so(place, settings):
    few = at.plan(minimum_users=100_000, deadline_seconds=60)
    with under_way(place, plan=few) as report:
        wait_for(paused_runs, "a question")
        for step in (1, 2):
            a_person_says(settings, reached(settings, step=step), "override")
        a_person_says(settings, reached(settings, step=2, state=State.BAKING), "override")
        found = report.result()

    assert found.certified
    assert found.verdict is Verdict.UNKNOWN
    assert {each.proved for each in found.ending.steps} == {False}
    assert {(each.decision, each.who) for each in found.said} == {("override", "ada")}
    with connect(settings) as db:
        assert releases(db, at.ENVIRONMENT)[0].certified_by == "ada"
    assert_stated(settings, found)


def test_a_flag_that_a_person_kills_while_the_release_is_put_up_stays_killed(place, settings, settings_file):
    period, flow = f"good/{uuid.uuid4()}", "flows.production_rollout.production_rollout"
    run_killed(place, settings_file, flow, at.request(), Death("before", "switch_over"), period=period)
    with connect(settings) as db:
        kill_flag(db, at.FLAG, who="ada", why="I do not like it")
    killed = at.flag_now(settings)
    with under_way(place, period=period) as report:
        found = report.result()

    assert (found.verdict, found.ending.cause, found.exposed_at) == (Verdict.UNKNOWN, Cause.PERSON, None)
    assert "ada killed flag" in found.ending.why
    assert "I do not like it" in found.ending.why
    assert at.flag_now(settings) == killed
    assert_nobody_is_exposed(settings)
    assert_stated(settings, found)


def test_a_run_that_is_gone_for_longer_than_the_lease_finds_its_users_back_and_people_hear_of_it_although_it_was_cancelled(
    place, settings, settings_file, tmp_path, monkeypatch
):
    short = at.plan(lease_seconds=3, renew_seconds=1)
    period, flow = f"good/{uuid.uuid4()}", "flows.production_rollout.production_rollout"
    run_killed(place, settings_file, flow, at.request(plan=short), Death("before", "prove"), period=period)
    book, number = Ledger(settings), at.last_rollout(settings).operation_id
    # As the watch does for a run that was cancelled in Prefect; a run outside a deployment is nobody's to start.
    cancel(book, number, why="its run was cancelled")
    book.query("UPDATE steward.operations SET deployment_id = gen_random_uuid() WHERE id = %(id)s", id=number)
    guardian = Guardian(Situation(book, []))
    guardian._asks = True

    def asked_for():
        guardian.round()
        return read_operation(book, number)["state"] == "due"

    wait_for(asked_for, "its being asked for")
    assert at.last_rollout(settings).state is State.ROLLED_BACK
    with listening(tmp_path) as heard:
        told = tmp_path / "settings.toml"
        told.write_text(tomli_w.dumps({**tomllib.loads(settings_file.read_text()), "notices": heard.table}))
        monkeypatch.setenv("STEWARD_SETTINGS", str(told))
        with under_way(place, plan=short, period=period) as report:
            found = report.result()
    assert (found.verdict, found.ending.cause) == (Verdict.UNKNOWN, Cause.LEASE)
    assert "guardian" in found.ending.why
    assert found.ending.not_told == ()
    assert any("withdrawn" in mail["message-id"] for mail in heard.received.mails)
    assert_stated(settings, found)
    assert_nobody_is_exposed(settings)


def test_without_prometheus_nobody_stays_exposed_for_longer_than_the_lease(place, settings):
    with under_way(place, plan=at.plan(lease_seconds=6, minimum_seconds=60)) as report:
        reached(settings)
        with faults.frozen(place.state, "prometheus"):
            found = report.result()

    assert (found.verdict, found.ending.cause) == (Verdict.UNKNOWN, Cause.LEASE)
    assert_nobody_is_exposed(settings)


def _killed_by_a_person(settings):
    with connect(settings) as db:
        kill_flag(db, at.FLAG, who="ada", why="it does harm")


def _already_exposed(settings):
    with connect(settings) as db:
        stored = read_flag(db, at.FLAG)
        flag = stored.flag.exposing(100, "on")
        change_flag(db, flag, who="ada", why="by hand", expected_version=stored.version)


def _nothing(settings):
    return None


UNCOUNTED = at.plan(metrics=(Metric(name="put_bye", slo=0.1),))
UNASKED = at.plan(guards=(Guard(name="weather", must=Must.AT_LEAST, bound=1),))


@pytest.mark.parametrize(
    ("before", "fields", "seen"),
    [
        (_nothing, {"release": "nosuch"}, "no release 'nosuch'"),
        (_nothing, {"release": "steady"}, "has the traffic already"),
        (_nothing, {"flag": "nosuch"}, "no flag 'nosuch'"),
        (_nothing, {"variant": "blue"}, "blue"),
        (_nothing, {"environment": "staging"}, "staging"),
        (_nothing, {"gates": GatesNeeded()}, "has not passed its quality gates"),
        (_nothing, {"plan": UNASKED}, "weather"),
        (_nothing, {"plan": UNCOUNTED}, "blue does not count put_bye; it counts error, put_by, slow"),
        (_killed_by_a_person, {}, "ada killed flag"),
        (_already_exposed, {}, "exposes 100 % of users already"),
    ],
)
def test_what_cannot_be_rolled_out_is_refused_with_a_hint_and_changes_nothing(settings, before, fields, seen):
    before(settings)
    stood = (at.flag_now(settings), at.last_rollout(settings), open_balancer(settings, at.ENVIRONMENT).servers())

    with pytest.raises(BadInput, match=seen) as refused:
        production_rollout(at.request(**fields))

    assert refused.value.hint
    now = (at.flag_now(settings), at.last_rollout(settings), open_balancer(settings, at.ENVIRONMENT).servers())
    assert [state_of(each) for each in now[2]] == [state_of(each) for each in stood[2]]
    assert now[0] == stood[0]
    assert id_of(now[1]) == id_of(stood[1])


def state_of(server):
    return server.name, server.admin, server.weight_percent


def id_of(rollout):
    return rollout and (rollout.id, rollout.state)
