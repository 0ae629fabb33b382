"""From a push to all users without a hand between; and what is red goes nowhere.

What comes back from users is a minute more, and has a command of its own: `make demo-release`.
"""

from __future__ import annotations

import pytest

from demo.acts import prepare
from demo.release.ground import listening
from demo.release.seen import Commit, gates_in, wait_for
from demo.rollout.laying import lay
from demo.shop.repository import changes
from demo.stage import open_stage
from replica import start, stop
from replica.servers import SERVERS as EVERY
from steward.clients.application_host import open_application_host
from steward.clients.flag_store import read_flag
from steward.clients.postgres import connect
from steward.rollout.gates import Gate
from steward.verdicts import Verdict
from tests.flows import rollout_ground as at
from tests.flows.prefect_server import recording_in, undeploy

pytestmark = [pytest.mark.without_search, pytest.mark.long, pytest.mark.usefixtures("worker")]

SERVERS = (*at.SERVERS, "webhooks", "github")
#: No promise: what takes longer will not come any more.
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def place(replica):
    place = start.up(replica.state, EVERY, SERVERS)
    yield place
    with recording_in(place):
        undeploy()
    stop.down(place.state, EVERY, SERVERS)


@pytest.fixture(scope="module")
def stage(place):
    """Migrated and deployed; the steady release has the traffic, and users."""
    stage = open_stage(place.state)
    prepare(stage)
    lay(stage.settings)
    with at.users(stage.settings, rate=16):
        yield stage
    with open_application_host(stage.settings, at.ENVIRONMENT) as host:
        for colour in ("blue", "green"):
            host.empty(colour)


@pytest.fixture(scope="module")
def origin(stage):
    with listening(stage, at.plan()) as origin:
        yield origin


@pytest.fixture
def pushed(origin, stage):
    """What becomes of what is pushed."""

    def push(name, changed, *options):
        return Commit(stage.settings, origin.push(name, changed, *options))

    return push


def awaited(commit, look, what):
    return wait_for(look, PATIENCE_SECONDS, f"{what} of {commit.release}", commit.said)


def exposed_percent(settings, flag):
    with connect(settings) as db:
        stored = read_flag(db, flag).flag
    return 0 if stored.killed else stored.split.exposure_percent


def releases_at_the_host(settings):
    with open_application_host(settings, at.ENVIRONMENT) as host:
        return host.releases()


def assert_every_gate_is_verified(statement):
    assert gates_in(statement) == dict.fromkeys(Gate, Verdict.VERIFIED)


def test_a_push_goes_to_everybody_or_is_stopped_and_its_deployment_at_github_says_which(pushed, stage):
    changed = changes()
    good = pushed("good", changed["good"], "first")
    assert awaited(good, good.proved, "statement").verdict is Verdict.VERIFIED
    assert good.proved().figures["commit"] == good.commit
    assert_every_gate_is_verified(good.proved())

    # Beside its rollout, so that there is still none before it.
    red = pushed("red", changed["red"], "flag=new-ranking", "first")
    assert awaited(good, good.ended, "end") == "success"
    told = good.statuses()
    assert (told[0], set(told[1:-1])) == ("queued", {"in_progress"})
    assert awaited(red, red.proved, "statement").verdict is Verdict.REFUTED
    assert red.deployments() == []
    assert red.release not in releases_at_the_host(stage.settings)

    assert exposed_percent(stage.settings, at.FLAG) == 100
    assert at.last_rollout(stage.settings).release == good.release
    with open_application_host(stage.settings, at.ENVIRONMENT) as host:
        (live,) = at.live(stage.settings)
        assert host.colour(live).release == good.release
