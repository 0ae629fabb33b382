import os
import shutil
import socket

import pytest

from replica import ports
from replica.errors import NoFreePort, PortTaken
from steward.errors import BadInput


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Claims of the tests' own, and ten ports, on which others of this machine may listen meanwhile."""
    monkeypatch.setattr(ports.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ports, "_LOWEST", 31_990)
    monkeypatch.setattr(ports, "is_free", lambda _: True)


def test_ports_are_chosen_once_and_kept(tmp_path):
    names = ["postgres.sql", "s3.s3"]
    assert ports.persisted(tmp_path / "ports.json", names) == ports.persisted(tmp_path / "ports.json", names)


def test_a_new_server_gets_a_port_and_leaves_the_others_theirs(tmp_path):
    before = ports.persisted(tmp_path / "ports.json", ["postgres.sql"])
    after = ports.persisted(tmp_path / "ports.json", ["postgres.sql", "redis.tls"])
    assert after["postgres.sql"] == before["postgres.sql"]
    assert after["redis.tls"] != after["postgres.sql"]


def test_chosen_ports_are_distinct_and_below_those_of_outgoing_connections():
    chosen = ports.choose([f"server.{number}" for number in range(50)], {})
    assert len(set(chosen.values())) == 50
    assert all(20_000 <= port < 32_000 for port in chosen.values())


@pytest.mark.usefixtures("few")
def test_what_another_replica_has_chosen_and_does_not_listen_on_yet_is_not_chosen(monkeypatch):
    names = [f"server.{number}" for number in range(5)]
    one, other = (set(ports.choose(names, {}).values()) for _ in range(2))
    assert len(one | other) == 10
    monkeypatch.setattr(ports, "_CLAIM_SECONDS", 0.0)
    assert len(ports.choose(names, {})) == 5


@pytest.mark.usefixtures("few")
def test_what_a_replica_keeps_is_its_own_until_its_folder_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(ports, "_CLAIM_SECONDS", 0.0)
    (tmp_path / "one").mkdir()
    names = [f"server.{number}" for number in range(5)]
    kept = set(ports.persisted(tmp_path / "one" / "ports.json", names).values())

    other = set(ports.choose(names, {}).values())

    assert not kept & other
    ports.forget(tmp_path / "one")
    assert len(ports.choose([f"server.{number}" for number in range(10)], {})) == 10


@pytest.mark.usefixtures("few")
def test_a_replica_whose_folder_was_removed_keeps_nothing_although_it_has_just_chosen(tmp_path):
    (tmp_path / "one").mkdir()
    names = [f"server.{number}" for number in range(10)]
    kept = ports.persisted(tmp_path / "one" / "ports.json", names)
    shutil.rmtree(tmp_path / "one")
    assert set(ports.choose(names, {}).values()) == set(kept.values())


@pytest.mark.usefixtures("few")
def test_where_all_are_chosen_it_is_said_and_nothing_is_claimed(tmp_path):
    ports.choose([f"server.{number}" for number in range(8)], {})
    with pytest.raises(NoFreePort, match="looked for 3 ports from 31990 to 31999: replicas keep 8") as refused:
        ports.persisted(tmp_path / "ports.json", ["a", "b", "c"])
    assert str(tmp_path / f"steward-ports-{os.geteuid()}.json") in refused.value.hint
    assert len(ports.choose(["a", "b"], {})) == 2


def test_what_a_killed_process_left_of_the_claims_is_no_hindrance(monkeypatch, tmp_path):
    monkeypatch.setattr(ports.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"steward-ports-{os.geteuid()}.json").write_text('{"2000')
    assert ports.choose(["postgres.sql"], {})


def test_a_port_that_someone_listens_on_is_not_free(listener):
    assert not ports.is_free(listener)


def test_a_taken_port_is_told_with_the_process_that_has_it(listener):
    with pytest.raises(PortTaken) as caught:
        ports.refuse_taken("postgres", [listener])
    assert f"port {listener} of postgres is taken by pid {os.getpid()}" in str(caught.value)
    assert "HINT: end that process, or choose new ports" in str(caught.value)


def test_forgotten_ports_are_chosen_anew(tmp_path):
    ports.persisted(tmp_path / "ports.json", ["postgres.sql"])
    ports.forget(tmp_path)
    assert not (tmp_path / "ports.json").exists()


@pytest.mark.parametrize("text", ["not json", "[1]", '{"postgres.sql": "many"}'])
def test_a_damaged_file_of_ports_is_named_and_not_guessed_at(tmp_path, text):
    (tmp_path / "ports.json").write_text(text)
    with pytest.raises(BadInput, match=r"ports\.json does not hold ports"):
        ports.persisted(tmp_path / "ports.json", ["postgres.sql"])
