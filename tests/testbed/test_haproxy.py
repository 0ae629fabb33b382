"""The load balancer of the replica, with a small application on both of its colours, or on none."""

import concurrent.futures
import contextlib
import fcntl
import socket
import socketserver
import stat
import threading

import pytest

from replica import faults, start, stop
from replica.servers import SERVERS, haproxy
from replica.servers.haproxy import COLOURS, colour_port
from replica.status import rows
from steward.clients import haproxy_state
from steward.clients.haproxy import Admin, LoadBalancer, open_balancer
from steward.clients.haproxy_errors import (
    BalancerAway,
    BalancerRefused,
    BalancerStateNotSaved,
    NoSuchServer,
    NotDrained,
    ServerNotUp,
)
from steward.clients.haproxy_runtime import Runtime
from steward.errors import BadInput, is_transient
from tests.integration.colours_ground import WAIT_SECONDS, Caller, Colours, Users, eventually

pytestmark = pytest.mark.without_search

SERVER = next(server for server in SERVERS if server.name == "haproxy")
RATE = 300


@pytest.fixture(scope="module")
def place(replica):
    place = start.up(replica.state, SERVERS, ["haproxy"])
    yield place
    stop.down(place.state, SERVERS, ["haproxy"])


@pytest.fixture(scope="module")
def application(place):
    colours = Colours({colour: colour_port(place, colour) for colour in COLOURS})
    yield colours
    colours.close()


@pytest.fixture
def balancer(place, application, settings):
    """Both colours serve, at their whole weights."""
    start.up(place.state, SERVERS, ["haproxy"])
    application.hold()
    application.start(*COLOURS)
    application.healthy.update(dict.fromkeys(COLOURS, True))
    balancer = open_balancer(settings, "production")
    for colour in COLOURS:
        balancer.set_weight(colour, 100)
        balancer.ready(colour)
        balancer.wait_up(colour, WAIT_SECONDS)
    yield balancer
    application.release()


@pytest.fixture
def url(settings):
    return settings.balancer("production").url


@pytest.fixture
def caller(url):
    with contextlib.closing(Caller(url)) as caller:
        yield caller


def shown(balancer):
    return {each.name: (each.admin, each.weight_percent) for each in balancer.servers()}


def test_with_no_application_it_is_up_and_takes_each_colour_in_when_it_is_there(balancer, application, place, caller):
    application.stop(*COLOURS)
    eventually(lambda: not any(each.up for each in balancer.servers()), "both down")
    assert caller.ask()[0] == 503
    (row,) = rows(place, [SERVER])
    assert (row.healthy, row.health) == (True, "HAProxy 2.6.12, blue DOWN at 100 %, green DOWN at 100 %")
    application.start("green")
    balancer.wait_up("green", WAIT_SECONDS)
    assert caller.colour() == "green"
    assert [each.serves for each in balancer.servers()] == [False, True]


def test_a_colour_that_says_it_is_not_healthy_is_given_nothing(balancer, application, caller):
    application.healthy["blue"] = False
    eventually(lambda: not balancer.server("blue").up, "blue down")
    assert balancer.server("blue").check == "L7STS 503"
    assert {caller.colour() for _ in range(10)} == {"green"}


def test_no_request_fails_from_blue_to_green_and_back_though_each_is_ended_when_it_is_drained(
    balancer, application, url
):
    balancer.direct("blue")
    with Users(url, RATE).under_way() as users:
        users.more(100)
        assert set(users.came) == {"blue"}
        for old, new in (("blue", "green"), ("green", "blue")):
            balancer.direct(new)
            balancer.wait_drained(old, WAIT_SECONDS)
            balancer.maint(old)
            seen = users.came[old]
            application.stop(old)
            users.more(150)
            assert users.came[old] <= seen + len(users._threads)
            application.start(old)
            balancer.drain(old)
            balancer.wait_up(old, WAIT_SECONDS)
    assert users.failed == {}
    assert users.total() > 400
    assert shown(balancer) == {"blue": (Admin.READY, 100), "green": (Admin.DRAIN, 100)}


def test_users_follow_the_weights_and_nobody_leaves_the_colour_that_grows(balancer, caller):
    users = [f"user-{number}" for number in range(1000)]
    before = set()
    # Of the ring, which has no more than 16 places a percent, and of 1,000 users: four standard deviations.
    for percent, within in ((5, 4), (25, 8), (50, 9), (100, 0)):
        balancer.set_weight("green", percent)
        balancer.set_weight("blue", 100 - percent)
        exposed = {user for user in users if caller.colour(user) == "green"}
        assert abs(len(exposed) / len(users) * 100 - percent) <= within
        assert before <= exposed
        before = exposed


def test_requests_of_nobody_follow_the_weights_exactly(balancer, caller):
    balancer.set_weight("green", 25)
    balancer.set_weight("blue", 75)
    greens = sum(caller.colour() == "green" for _ in range(400))
    assert abs(greens - 100) <= 10


def test_a_user_is_known_by_a_cookie_as_well_as_by_a_header(balancer, caller):
    for user in map(str, range(20)):
        assert caller.ask(Cookie=f"a=b; user_id={user}") == (200, caller.colour(user))


def test_weights_and_states_outlive_a_reload_under_load_a_crash_and_an_end(balancer, place, url):
    balancer.set_weight("green", 7)
    balancer.drain("blue")
    expected = {"blue": (Admin.DRAIN, 100), "green": (Admin.READY, 7)}
    with Users(url, RATE).under_way() as users:
        users.more(50)
        haproxy.reload(place)
        users.more(100)
    assert users.failed == {}
    assert set(users.came) == {"green"}
    assert shown(balancer) == expected
    faults.kill(place.state, "haproxy")
    start.up(place.state, SERVERS, ["haproxy"])
    assert shown(balancer) == expected
    stop.down(place.state, SERVERS, ["haproxy"])
    start.up(place.state, SERVERS, ["haproxy"])
    assert shown(balancer) == expected


def test_of_two_that_save_the_state_neither_leaves_an_older_one(balancer, place, settings):
    other = open_balancer(settings, "production")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for percent in range(5):
            done = [pool.submit(balancer.set_weight, "blue", percent), pool.submit(other.set_weight, "green", percent)]
            for each in done:
                each.result()
    haproxy.reload(place)
    assert shown(balancer) == {"blue": (Admin.READY, 4), "green": (Admin.READY, 4)}


def test_a_writer_that_is_stopped_while_it_saves_keeps_nobody_from_changing(balancer, place, monkeypatch):
    monkeypatch.setattr(haproxy_state, "_ALONE_SECONDS", 0.2)
    lock = haproxy.state_file(place).with_name("state.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        balancer.set_weight("blue", 3)
    haproxy.reload(place)
    assert shown(balancer)["blue"] == (Admin.READY, 3)


def test_a_state_that_cannot_be_saved_is_told_and_the_change_holds(balancer, settings, tmp_path):
    described = settings.balancer("production")
    nowhere = LoadBalancer(Runtime(described.runtime), described.backend, tmp_path / "gone" / "state")
    with pytest.raises(BalancerStateNotSaved, match="a reload or restart would begin with an older one") as caught:
        nowhere.set_weight("blue", 9)
    assert is_transient(caught.value)
    assert shown(balancer)["blue"] == (Admin.READY, 9)


def test_draining_is_waited_for_and_what_is_left_is_counted(balancer, application, url):
    balancer.direct("blue")
    with concurrent.futures.ThreadPoolExecutor() as pool, contextlib.closing(Caller(url)) as slow:
        held = pool.submit(slow.ask, "/held")
        eventually(lambda: balancer.connections("blue") == 1, "one request at blue")
        with pytest.raises(BadInput, match="blue takes new requests, so it never drains"):
            balancer.wait_drained("blue", 0)
        balancer.direct("green")
        with pytest.raises(NotDrained, match=r"blue still serves 1 requests after 0\.2 s") as caught:
            balancer.wait_drained("blue", 0.2)
        assert caught.value.connections == 1
        application.release()
        balancer.wait_drained("blue", WAIT_SECONDS)
        assert held.result() == (200, "blue")


def test_what_will_not_end_can_be_ended(balancer, url):
    balancer.direct("blue")
    with concurrent.futures.ThreadPoolExecutor() as pool, contextlib.closing(Caller(url)) as slow:
        held = pool.submit(slow.ask, "/held", "POST")
        eventually(lambda: balancer.connections("blue") == 1, "one request at blue")
        balancer.drain("blue")
        balancer.close_sessions("blue")
        balancer.wait_drained("blue", WAIT_SECONDS)
        assert held.result()[0] in {502, 503}


def test_traffic_is_not_directed_to_a_colour_that_is_down_or_was_not_looked_at(balancer, application):
    balancer.direct("blue")
    before = shown(balancer)
    application.stop("green")
    eventually(lambda: not balancer.server("green").up, "green down")
    with pytest.raises(ServerNotUp, match=r"green drain, down \(L4CON Connection refused\), 100 %"):
        balancer.direct("green")
    with pytest.raises(ServerNotUp, match=r"after 0\.1 s"):
        balancer.wait_up("green", 0.1)
    balancer.maint("green")
    with pytest.raises(ServerNotUp, match=r"green maint, down \(not checked\)"):
        balancer.direct("green")
    # HAProxy itself takes it for up at this moment.
    balancer.drain("green")
    with pytest.raises(ServerNotUp):
        balancer.direct("green")
    assert shown(balancer) == before


def test_a_request_that_a_dying_process_dropped_is_asked_again_where_nothing_is_done_twice(balancer, application, url):
    balancer.direct("blue")
    for method, asked in (("GET", 3), ("HEAD", 3), ("POST", 1), ("PUT", 1)):
        before = application.asked["blue"]
        with contextlib.closing(Caller(url)) as caller:
            assert caller.ask("/lost", method)[0] in {502, 503}
        assert application.asked["blue"] == before + asked


@pytest.mark.parametrize("name", ["red", "green weight 1%\nset server app/blue", "green;show info", ""])
def test_a_server_that_is_not_there_is_refused_with_those_that_are_and_nothing_changes(balancer, name):
    before = shown(balancer)
    for act in (balancer.drain, balancer.ready, balancer.maint, balancer.close_sessions, balancer.direct):
        with pytest.raises(NoSuchServer, match="only blue, green") as caught:
            act(name)
        assert not is_transient(caught.value)
    with pytest.raises(NoSuchServer):
        balancer.set_weight(name, 5)
    assert shown(balancer) == before


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_weight_beyond_the_whole_is_refused(balancer, percent):
    with pytest.raises(BadInput, match="expected 0 to 100"):
        balancer.set_weight("blue", percent)
    assert shown(balancer)["blue"] == (Admin.READY, 100)


def test_an_unknown_backend_is_told(settings):
    balancer = LoadBalancer(Runtime(settings.balancer("production").runtime), "shop")
    for act in (balancer.servers, lambda: balancer.drain("blue")):
        with pytest.raises(NoSuchServer, match="the load balancer has no backend shop"):
            act()


def test_a_command_that_haproxy_refuses_is_told_in_its_words(balancer, settings):
    with pytest.raises(BalancerRefused, match=r"refuses 'set server app/blue state asleep': 'set server <srv> state'"):
        Runtime(settings.balancer("production").runtime).change("set server app/blue state asleep")


def test_a_balancer_that_is_frozen_or_gone_is_away_and_its_users_are_told_by_a_bounded_wait(balancer, place, settings):
    impatient = open_balancer(settings, "production", timeout_seconds=0.3)
    with faults.frozen(place.state, "haproxy"), pytest.raises(BalancerAway, match="does not answer: ") as caught:
        impatient.servers()
    assert is_transient(caught.value)
    faults.kill(place.state, "haproxy")
    with pytest.raises(BalancerAway, match="ConnectionRefusedError"):
        impatient.drain("blue")


def test_who_may_move_traffic_is_the_sockets_owner_alone(place):
    mode = haproxy.runtime(place).stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)


def test_it_is_asked_over_tcp_as_well(balancer, place):
    class Carry(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(str(haproxy.runtime(place)))
                there.sendall(self.request.recv(4096))
                while chunk := there.recv(4096):
                    self.request.sendall(chunk)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Carry) as server:
        threading.Thread(target=server.serve_forever).start()
        far = LoadBalancer(Runtime(f"tcp:127.0.0.1:{server.server_address[1]}"), "app")
        far.set_weight("green", 40)
        assert shown(far) == shown(balancer) == {"blue": (Admin.READY, 100), "green": (Admin.READY, 40)}
        server.shutdown()


def test_it_tells_prometheus_of_both_colours(balancer, place):
    with contextlib.closing(Caller(f"http://127.0.0.1:{place.port('haproxy', 'metrics')}")) as caller:
        status, figures = caller.ask("/metrics?scope=server")
        assert caller.ask("/stats")[0] == 404
    assert status == 200
    assert 'haproxy_server_weight{proxy="app",server="green"} 100' in figures
