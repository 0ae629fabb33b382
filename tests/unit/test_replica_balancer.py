import json

import pytest

from replica import state
from replica.errors import DidNotStart
from replica.selection import select
from replica.servers import SERVERS, debians, haproxy, prometheus

SERVER = {server.name: server for server in SERVERS}
HEADING = "1\n# be_id be_name srv_id srv_name\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_refuse_closed", lambda _: None)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)
    return state.lay(tmp_path / "replica", SERVERS)


def saved(ports):
    rows = [
        f"3 app {i} {name} 127.0.0.1 2 8 7 100 1 15 3 2 6 0 0 0 - {port} - 0 0 - - 0"
        for i, (name, port) in enumerate(ports)
    ]
    return HEADING + "\n".join(rows) + "\n\n"


def test_nobody_pays_for_them_who_did_not_ask():
    names = {server.name for server in select(SERVERS, [])}
    assert {"postgres", "es-1", "gateway", "watch"} <= names
    assert not names & {"haproxy", "prometheus"}
    assert [server.name for server in select(SERVERS, ["haproxy", "prometheus"])] == ["haproxy", "prometheus"]


def test_the_colours_have_ports_that_nobody_is_refused_for(place):
    ports = {haproxy.colour_port(place, colour) for colour in haproxy.COLOURS}
    assert len(ports) == 2
    assert not set(haproxy.COLOURS) & set(SERVER["haproxy"].port_names)


def test_a_saved_state_is_kept_over_up(place):
    SERVER["haproxy"].prepare(place)
    assert haproxy.state_file(place).read_text() == "1\n"
    told = saved([(colour, haproxy.colour_port(place, colour)) for colour in haproxy.COLOURS])
    haproxy.state_file(place).write_text(told)
    SERVER["haproxy"].prepare(place)
    assert haproxy.state_file(place).read_text() == told


def test_a_state_that_was_saved_with_other_ports_is_not(place):
    SERVER["haproxy"].prepare(place)
    haproxy.state_file(place).write_text(saved([("blue", haproxy.colour_port(place, "blue")), ("green", 4711)]))
    SERVER["haproxy"].prepare(place)
    assert haproxy.state_file(place).read_text() == "1\n"


def test_nothing_listens_but_on_loopback(place):
    SERVER["haproxy"].prepare(place)
    lines = (place.folder("haproxy") / "haproxy.cfg").read_text().splitlines()
    binds = [line.split()[1] for line in lines if line.split()[:1] == ["bind"]]
    assert len(binds) == 2
    assert all(bind.startswith("127.0.0.1:") for bind in binds)
    assert not [line for line in lines if "$" in line.replace("$NAME", "")]


def test_its_socket_fits_where_a_state_folder_is_as_long_as_it_may_be():
    # HAProxy binds by a name of its own first; a Unix socket's path holds 107 bytes.
    assert 75 + len("/haproxy/api.sock") + len(".4194304.tmp") <= 107


def test_both_colours_are_asked_for_their_figures_from_the_beginning(place):
    SERVER["prometheus"].prepare(place)
    named = json.loads((prometheus.targets_folder(place) / "colours.json").read_text())
    assert [(each["targets"], each["labels"]) for each in named] == [
        ([f"127.0.0.1:{haproxy.colour_port(place, colour)}"], {"colour": colour}) for colour in ("blue", "green")
    ]


def test_a_program_that_is_not_installed_is_told_with_what_installs_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DidNotStart, match="there is no program haproxyless") as caught:
        debians.find("haproxyless", "haproxy")
    assert "deployments/debian/check" in caught.value.hint
