import pickle
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from steward.clients import haproxy_state
from steward.clients.haproxy import LoadBalancer
from steward.clients.haproxy_answers import Admin, servers
from steward.clients.haproxy_errors import (
    BalancerAway,
    BalancerRefused,
    BalancerStateNotSaved,
    NoSuchServer,
    NotDrained,
    ServerNotUp,
)
from steward.clients.haproxy_runtime import Runtime
from steward.errors import BadInput

# As HAProxy 2.6.12 told them of a blue in maintenance, shortened to the columns that are read and some that are not.
STAT = """\
# pxname,svname,qcur,scur,stot,status,weight,lastchg,check_status,check_code,last_chk,check_rise,check_fall,check_health,addr,-,
app,blue,0,2,41,MAINT,100,5,,,,1,2,,127.0.0.1:19101,-,
app,green,1,3,9,UP 1/2,7,12,L7OK,200,,1,2,1,127.0.0.1:19102,-,

"""
STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port
3 app 1 blue 127.0.0.1 0 1 100 100 - 19101
3 app 2 green 127.0.0.1 2 0 7 100 - 19102

"""


def green(stat=STAT, state=STATE):
    return servers(stat, state)[1]


def test_both_answers_make_one_value():
    blue, other = servers(STAT, STATE)
    assert (blue.name, blue.admin, blue.up, blue.healthy, blue.check) == ("blue", Admin.MAINT, False, False, "")
    assert (blue.connections, blue.requests, blue.seconds_since_change) == (2, 41, 5)
    assert (other.admin, other.weight_percent, other.queued, other.check) == (Admin.READY, 7, 1, "L7OK 200")
    assert str(other) == "green ready, up (L7OK 200), 7 %"


def test_up_is_not_healthy_before_every_check_passed_that_may_count_against_it():
    assert (green().up, green().healthy) == (True, False)
    assert green(STAT.replace("1,2,1,127", "1,2,2,127")).healthy


@pytest.mark.parametrize(
    ("mask", "admin"),
    [
        (0, Admin.READY),
        (8, Admin.DRAIN),
        (16, Admin.DRAIN),
        (1, Admin.MAINT),
        (4, Admin.MAINT),
        (9, Admin.MAINT),
        (64, Admin.READY),
    ],
)
def test_a_state_is_what_its_mask_says(mask, admin):
    assert green(state=STATE.replace("2 0 7", f"2 {mask} 7")).admin is admin


@pytest.mark.parametrize(("state", "serves"), [("2 0 7", True), ("2 0 0", False), ("2 8 7", False), ("0 0 7", False)])
def test_a_server_serves_that_is_up_ready_and_has_a_weight(state, serves):
    assert green(state=STATE.replace("2 0 7", state)).serves is serves


@contextmanager
def answering(path, *parts, stay=False):
    """A runtime API that says *parts* to whoever asks, whatever was asked; *stay*: and never ends."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        over = threading.Event()

        def serve():
            while not over.is_set():
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    connection.recv(4096)
                    for part in parts:
                        connection.sendall(part)
                    if stay:
                        over.wait()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Runtime(f"unix:{path}", timeout_seconds=0.2)
        over.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        thread.join()


@pytest.fixture
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("s") / "s"


def test_nobody_there_is_away(path):
    with pytest.raises(BalancerAway, match="FileNotFoundError"):
        Runtime(f"unix:{path}").ask("show info")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(BalancerAway, match="ConnectionRefusedError"):
        Runtime(address).ask("show info")


@pytest.mark.parametrize("parts", [(), (b"1\n# be_id be_name\n3 app 1 bl",), (b"1\n# be_id be_name\n",)])
def test_an_answer_that_ended_before_its_end_is_no_answer(path, parts):
    with answering(path, *parts) as runtime, pytest.raises(BalancerAway, match="ended before its end"):
        runtime.ask("show servers state")


def test_one_who_never_ends_is_waited_for_within_bounds(path):
    with answering(path, b"1\n", stay=True) as runtime, pytest.raises(BalancerAway, match="TimeoutError: timed out"):
        runtime.ask("show servers state")


@pytest.mark.parametrize("said", [b"Unknown command: show\n\n", b"Permission denied\n\n"])
def test_a_socket_of_a_lower_level_is_told_by_its_refusal(path, said):
    with answering(path, said) as runtime:
        with pytest.raises(BalancerRefused, match="level admin"):
            LoadBalancer(runtime, "app").servers()
        with pytest.raises(BalancerRefused, match="level admin"):
            LoadBalancer(runtime, "app").drain("blue")


@pytest.mark.parametrize("said", [b"2\n# other\n\n", b"hello\n\n", b"<html>\n\n"])
def test_whoever_answers_unlike_haproxy_is_not_believed(path, said):
    with answering(path, said) as runtime, pytest.raises(BalancerRefused, match="unlike HAProxy"):
        LoadBalancer(runtime, "app").servers()


def test_a_state_is_written_whole_and_again_where_it_changed_meanwhile(tmp_path):
    newer = STATE.replace("2 0 7", "2 8 7")
    told = iter([STATE, newer, newer.replace("19102", "19102 1")])
    haproxy_state.keep(tmp_path / "state", lambda: next(told))
    assert (tmp_path / "state").read_text() == newer
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_what_could_not_be_written_leaves_the_older_state_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "state"
    path.write_text("older")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(haproxy_state.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        haproxy_state.keep(path, lambda: STATE)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("state", "older")]


@pytest.mark.parametrize(
    "error",
    [
        BalancerAway("unix:/run/s", "gone"),
        NoSuchServer("app", "red", ["blue"]),
        BalancerRefused("unix:/run/s", "show", "no"),
        BalancerStateNotSaved("/var/state", "full"),
        ServerNotUp("green", "down"),
        NotDrained("green", 3, 5),
    ],
)
def test_errors_keep_their_words_and_fields_in_a_flows_run(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 -- just made here
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert "\nHINT: " in str(again)
    assert isinstance(NoSuchServer("app", "red", []), BadInput)
