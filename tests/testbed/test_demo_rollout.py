"""What stands before the demo's first rollout, on real servers: from nothing, and after a demo that was played before."""

from __future__ import annotations

import pytest

from demo.rollout import asked
from demo.rollout.laying import STEADY, lay
from replica import inventory, start, stop
from replica.servers import SERVERS as EVERY
from steward.clients.application_host import open_application_host
from steward.clients.flag_store import change_flag, flag_history, read_flag
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.settings import load

pytestmark = pytest.mark.without_search

SHOP = ("shop", "haproxy")


@pytest.fixture(scope="module")
def settings(replica):
    place = start.up(replica.state, EVERY, SHOP)
    yield load(inventory.settings_file(place))
    stop.down(place.state, EVERY, SHOP)


def live(settings):
    """The release that has the traffic, by the load balancer and the host."""
    (colour,) = [each.name for each in open_balancer(settings, asked.ENVIRONMENT).servers() if each.serves]
    with open_application_host(settings, asked.ENVIRONMENT) as host:
        return colour, host.colour(colour).release


def exposed(settings):
    with connect(settings) as db:
        flags = [read_flag(db, key).flag for key in (asked.GOOD_FLAG, asked.ERRING_FLAG)]
    return [(flag.killed, flag.split.exposure_percent) for flag in flags]


def test_the_steady_release_has_the_traffic_and_nobody_is_exposed_whatever_was_there_before(settings):
    first = lay(settings)
    assert live(settings) == (first, STEADY)
    assert exposed(settings) == [(False, 0), (False, 0)]
    assert lay(settings) == first

    # As a demo leaves it: another release live, one flag at everybody.
    other = "green" if first == "blue" else "blue"
    with open_application_host(settings, asked.ENVIRONMENT) as host:
        host.place(other, asked.GOOD)
    balancer = open_balancer(settings, asked.ENVIRONMENT)
    balancer.wait_up(other, 20)
    balancer.direct(other)
    with connect(settings) as db:
        stored = read_flag(db, asked.GOOD_FLAG)
        everybody = stored.flag.exposing(100, "on")
        change_flag(db, everybody, who="a test", why="as certified", expected_version=stored.version)

    assert lay(settings) == first
    assert live(settings) == (first, STEADY)
    assert exposed(settings) == [(False, 0), (False, 0)]
    with connect(settings) as db:
        newest = flag_history(db, asked.GOOD_FLAG)[0]
    assert (newest.who, newest.why) == ("operator", "make demo-rollout begins from nothing")
