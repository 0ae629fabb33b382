import pytest

from replica import state
from replica.errors import NotAReplica
from replica.servers import SERVERS
from steward.errors import BadInput


@pytest.fixture
def open_to_all(monkeypatch):
    monkeypatch.setattr(state, "_refuse_closed", lambda _: None)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)


def test_a_folder_with_other_things_in_it_never_becomes_a_replica(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(NotAReplica):
        state.lay(tmp_path, SERVERS)


def test_what_is_no_replica_is_not_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(NotAReplica, match="is not the state folder of a replica"):
        state.remove(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_removal_does_not_follow_links_out(tmp_path, open_to_all):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.txt").write_text("years of work")
    state.lay(tmp_path / "replica", SERVERS)
    (tmp_path / "replica" / "link").symlink_to(outside)
    state.remove(tmp_path / "replica")
    assert (outside / "thesis.txt").exists()
    assert not (tmp_path / "replica").exists()


def test_a_path_too_long_for_unix_sockets_is_refused_before_anything_is_made(tmp_path):
    long = tmp_path / ("x" * 120)
    with pytest.raises(BadInput, match="bytes, expected at most"):
        state.lay(long, SERVERS)
    assert not long.exists()


def test_a_state_folder_that_postgresql_cannot_reach_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(state.os, "geteuid", lambda: 0)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)
    tmp_path.chmod(0o700)
    with pytest.raises(BadInput, match="is closed to other users"):
        state.lay(tmp_path / "replica", SERVERS)


def test_the_environment_names_the_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("STEWARD_REPLICA", str(tmp_path))
    assert state.default_state() == tmp_path
