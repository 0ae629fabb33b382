"""The way back to the previous version, on a real load balancer, host and database: during a rollout, and after its end."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tomli_w
from prefect.logging import disable_run_logger

from services.watch.guardian import Guardian
from services.watch.situation import Situation
from steward.__main__ import main
from steward.clients import roll_backs, rollouts, rollouts_return
from steward.clients.application_host import HostAway, ReleaseDidNotStart
from steward.clients.postgres import connect
from steward.clients.rollouts_releases import revoke
from steward.clients.rollouts_return import NotLive, roll_back
from steward.clients.rollouts_telling import tell_of_return
from steward.operations.ledger import Ledger
from steward.rollout.record import RolloutUnderWay
from steward.rollout.returning import By, NoWayBack
from steward.settings import Notices
from tasks import rollout_ending
from tests.integration.notices_ground import listening
from tests.integration.roll_back_ground import AFTER, BEFORE, MARA, certify, eventually, ground, serving

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def database(replica):
    with serving(replica) as fresh:
        yield fresh


@pytest.fixture
def here(database):
    """`steady` is certified on blue, `good` is up on green and has the traffic."""
    with ground(database) as found:
        found.begin()
        yield found


def back(here, by=MARA, leave=""):
    return roll_back(here.settings, here.environment, by, leave)


def revoked(here):
    return dict(here.rows("SELECT release, revoked_why FROM steward.releases WHERE environment = %s"))


def test_during_a_rollout_it_is_withdrawn_users_first_and_who_said_so_is_kept(here):
    here.certified("steady", BEFORE)
    rollout = here.begun("good")
    returned = back(here)
    assert (returned.left, returned.to, returned.roll_back, returned.joined) == ("good", "steady", None, False)
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}
    with connect(here.settings) as db:
        ended = rollouts.read(db, rollout.id)
    assert (ended.state, ended.who, ended.why) == ("rolled_back", "mara", "users see errors")
    said = here.rows("SELECT decision, who, via FROM steward.rollout_decisions WHERE rollout = %s", rollout.id)
    assert said == [("roll_back", "mara", "test")]


def test_during_a_rollout_a_previous_version_that_has_ended_is_started_again(here):
    rollout = here.begun("good")
    here.host.empty(BEFORE)
    eventually(lambda: not here.balancer.server(BEFORE).healthy)
    assert back(here).to == "steady"
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}


def test_after_the_end_the_idle_colour_takes_over_and_what_was_left_is_revoked(here):
    here.certified("steady", BEFORE)
    rollout, pid = here.certified("good"), here.host.colour(BEFORE).pid
    returned = back(here)
    assert (returned.left, returned.to, returned.rollout, returned.flag) == ("good", "steady", rollout.id, rollout.flag)
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}
    assert here.host.colour(BEFORE).pid == pid, "nothing is started where the release runs"
    assert revoked(here) == {"steady": None, "good": "mara rolled it back: users see errors"}
    # Who asks again without naming anything goes no further back.
    again = back(here, By(who="ola", why="me too", via="test"))
    assert (again.roll_back, again.joined, again.ended_here, again.who) == (returned.roll_back, True, False, "mara")
    assert here.answer(5) == {"steady": 5}
    with pytest.raises(NotLive, match="good does not have the traffic"):
        rollouts_return.begin(here.settings, here.environment, MARA, "good")
    with pytest.raises(NoWayBack):
        back(here, leave="steady")


@pytest.mark.parametrize("idle", [None, "slow"])
def test_an_idle_colour_that_is_empty_or_has_another_release_is_given_the_certified_one(here, idle):
    here.certified("steady", BEFORE)
    rollout = here.certified("good")
    if idle:
        here.runs(**{BEFORE: idle})
    else:
        here.host.empty(BEFORE)
    assert back(here).to == "steady"
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}
    assert here.host.colour(BEFORE).release == "steady"


def test_a_live_version_that_is_ill_is_left_all_the_same(here):
    here.certified("steady", BEFORE)
    here.host.place(AFTER, "sickly")
    here.certified("sickly")
    eventually(lambda: not here.balancer.server(AFTER).healthy)
    assert back(here).left == "sickly"
    assert here.answer() == {"steady": 20}


def test_a_host_that_is_away_keeps_nobody_on_the_release_and_the_traffic_follows_when_it_is_there(here):
    here.certified("steady", BEFORE)
    rollout = here.certified("good")
    away = here.settings.application_host(here.environment).model_copy(update={"url": "http://127.0.0.1:9"})
    settings = here.settings.model_copy(update={"application_hosts": {here.environment: away}})
    with pytest.raises(HostAway):
        roll_back(settings, here.environment, MARA)
    assert here.is_off(rollout)
    assert here.answer(5) == {"good": 5}
    assert back(here).joined
    assert here.answer() == {"steady": 20}


def test_it_never_leads_to_what_was_not_certified_or_was_revoked(here):
    not_proved = here.begun("steady", BEFORE)
    with connect(here.settings) as db:
        db.execute(
            "UPDATE steward.rollouts SET state = 'rolled_back', exposure = 0, who = 'mara', why = 'errors', "
            "ended_at = clock_timestamp() WHERE id = %s",
            [not_proved.id],
        )
    live = here.certified("good")
    with pytest.raises(NoWayBack, match=f"no certified release besides good.*\\nHINT: take {live.flag} from everybody"):
        back(here)
    here.certified("slow", BEFORE)
    with connect(here.settings) as db:
        revoke(db, here.environment, "slow", "it lost orders")
    with pytest.raises(NoWayBack):
        back(here)
    assert not here.is_off(live)
    assert here.answer() == {"good": 20}
    assert here.rows("SELECT count(*) FROM steward.roll_backs WHERE environment = %s") == [(0,)]


def test_the_last_certified_one_is_meant_and_not_the_one_before(here):
    here.certified("slow", BEFORE)
    here.certified("steady", BEFORE)
    here.certified("good")
    assert back(here).to == "steady"


def test_one_that_was_killed_between_flag_and_traffic_is_ended_by_the_guardian(here, tmp_path):
    here.certified("steady", BEFORE)
    rollout = here.certified("good")
    file = tmp_path / "settings.toml"
    file.write_text(tomli_w.dumps(here.settings.model_dump(mode="json", exclude_none=True)))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, file, here.environment], check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert here.is_off(rollout)
    assert here.answer(5) == {"good": 5}
    with pytest.raises(RolloutUnderWay, match="ola asked for it"):
        here.begun("slow", BEFORE)
    guardian = Guardian(Situation(Ledger(here.settings, patience_seconds=0), []))
    guardian.round()
    assert here.answer(5) == {"good": 5}, "whoever began it is given a moment to end it"
    here.rows(
        "UPDATE steward.roll_backs SET begun_at = begun_at - interval '1 minute' WHERE environment = %s RETURNING 1"
    )
    guardian.round()
    eventually(lambda: here.answer(5) == {"steady": 5})
    eventually(lambda: here.rows("SELECT 1 FROM steward.roll_backs WHERE environment = %s AND ended_at IS NOT NULL"))


_KILLED = """
import os, pathlib, sys
from steward.clients import rollouts_return
from steward.rollout.returning import By
from steward.settings import load
rollouts_return.give_traffic = lambda *_: os.kill(os.getpid(), 9)
rollouts_return.roll_back(load(pathlib.Path(sys.argv[1])), sys.argv[2], By(who="ola", why="errors", via="test"))
"""


def test_a_half_done_one_is_ended_by_the_next_call_for_whoever_asked_first(here):
    here.certified("steady", BEFORE)
    here.certified("good")
    begun = rollouts_return.begin(here.settings, here.environment, By(who="ola", why="errors", via="test"))
    returned = back(here)
    assert (returned.roll_back, returned.who, returned.joined, returned.ended_here) == (begun.id, "ola", True, True)
    assert here.answer() == {"steady": 20}


def test_two_at_once_go_back_one_release_together(here):
    here.certified("slow", BEFORE)
    here.certified("steady", BEFORE)
    here.certified("good")
    together = threading.Barrier(2)

    def ask(name):
        together.wait()
        return back(here, By(who=name, why="errors", via="test"))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, ("ola", "mara"))
    assert first.roll_back == second.roll_back
    assert first.who == second.who
    assert first.to == "steady"
    assert sum(each.ended_here for each in (first, second)) == 1
    assert here.answer() == {"steady": 20}


def test_a_rollout_that_is_certified_in_that_moment_is_left_as_one_that_has_ended(here, monkeypatch):
    here.certified("steady", BEFORE)
    rollout, withdraw = here.begun("good"), rollouts_return.withdraw

    def late(*asked):
        with connect(here.settings) as db:
            certify(db, rollout)
        return withdraw(*asked)

    monkeypatch.setattr(rollouts_return, "withdraw", late)
    returned = back(here)
    assert returned.roll_back is not None
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}


def test_a_way_back_right_after_certification_is_not_undone_by_the_rollouts_last_step(here, settings_file, monkeypatch):
    here.certified("steady", BEFORE)
    rollout = here.certified("good")
    back(here)
    monkeypatch.setenv("STEWARD_SETTINGS", settings_file)
    with disable_run_logger():
        (left,) = inspect.unwrap(rollout_ending.keep_previous.fn)(rollout.id)
    assert "takes new requests" in left
    assert here.answer() == {"steady": 20}


def test_a_certification_that_was_committed_and_not_noted_is_one(here, settings_file, monkeypatch):
    rollout = here.certified("good")
    monkeypatch.setenv("STEWARD_SETTINGS", settings_file)
    inspect.unwrap(rollout_ending.certify.fn)(rollout.id, None)
    with connect(here.settings) as db:
        assert rollouts.read(db, rollout.id).state == "certified"


def test_a_target_that_does_not_start_leaves_users_off_and_a_person_may_go_elsewhere(here, capsys, settings_file):
    here.certified("steady", BEFORE)
    here.certified("stillborn", BEFORE)
    rollout = here.certified("good")
    with pytest.raises(ReleaseDidNotStart):
        back(here)
    assert here.is_off(rollout)
    here.host.place(BEFORE, "steady")
    eventually(lambda: here.balancer.server(BEFORE).healthy)
    direct = [
        "rollout",
        "direct",
        here.environment,
        BEFORE,
        "--because",
        "steady was well",
        "--settings",
        settings_file,
    ]
    assert main(direct) == 0, capsys.readouterr().err
    assert here.answer() == {"steady": 20}
    with connect(here.settings) as db:
        assert roll_backs.under_way(db, here.environment) is None
        noted, given_up = roll_backs.newest(db, here.environment)
    assert (noted.release, noted.to_release, noted.via) == ("good on green", "steady on blue", "direct")
    assert "given up by" in given_up.why


@pytest.fixture
def settings_file(here, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(tomli_w.dumps(here.settings.model_dump(mode="json", exclude_none=True)))
    return str(file)


def test_whoever_ended_it_tells_stakeholders_and_nobody_else_does(here, tmp_path):
    here.certified("steady", BEFORE)
    rollout = here.certified("good")
    first, second = back(here), back(here)
    with listening(tmp_path) as heard:
        settings = here.settings.model_copy(update={"notices": Notices.model_validate(heard.table)})
        assert tell_of_return(settings, second) == []
        told = {each.target: each.error for each in tell_of_return(settings, first)}
    assert set(told.values()) == {""}
    (said,) = heard.received.slack
    assert "good" in said
    assert "mara: users see errors" in said
    (mail,) = heard.received.mails
    assert f"rollout-{rollout.id}." in mail["message-id"]


def test_by_command_somebody_sees_what_there_is_and_goes_back(here, capsys, settings_file):
    here.certified("steady", BEFORE)
    rollout = here.begun("good")

    def told(*command):
        status = main(["rollout", *command, "--settings", settings_file])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    assert "good in" in told("list", here.environment)[1]
    assert f"rollout roll-back {here.environment}" in told("show", str(rollout.id))[1]
    status, words = told("direct", here.environment, BEFORE, "--because", "x")
    assert (status, "is under way" in words) == (1, True)
    status, words = told("approve", str(rollout.id), "--because", "looks well")
    assert (status, "was not looked at yet" in words) == (1, True)
    status, words = told("roll-back", here.environment, "--because", "errors")
    assert status == 0, words
    assert f"{here.environment} is back at steady: good was left" in words
    assert f"flag {rollout.flag} is off for everybody" in words
    assert here.answer() == {"steady": 20}
    assert "errors" in told("show", str(rollout.id))[1]
    assert os.environ.get("USER", "") in here.rows("SELECT who FROM steward.rollouts WHERE id = %s", rollout.id)[0][0]
