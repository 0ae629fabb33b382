import os
import shutil

import pytest

from replica import faults, processes, state
from replica.errors import ForeignTarget, NotAReplica, NotRunning
from replica.servers import SERVERS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_refuse_closed", lambda _: None)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)
    place = state.lay(tmp_path / "replica", SERVERS)
    data = place.folder("s3") / "data"
    data.mkdir(parents=True)
    for name in ("1.dat", "2.dat", "3.idx"):
        (data / name).write_bytes(os.urandom(4096))
    (data / "empty").touch()
    return place.state


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "s3" / "data").iterdir() if path.is_file()}


@pytest.mark.parametrize("fault", [faults.kill, faults.freeze, faults.thaw, faults.fill])
def test_a_process_that_is_not_the_replicas_is_refused(folder, fault):
    with pytest.raises(ForeignTarget, match=f"process {os.getpid()} is not of the replica"):
        fault(folder, str(os.getpid()))


@pytest.mark.parametrize("target", ["nginx", "/etc/passwd", "-1", ""])
def test_a_name_that_is_no_server_is_refused(folder, target):
    with pytest.raises(ForeignTarget, match="is no server of the replica"):
        faults.kill(folder, target)


def test_a_server_that_is_down_cannot_be_killed(folder):
    with pytest.raises(NotRunning, match="s3 is not running"):
        faults.kill(folder, "s3")


def test_a_folder_that_is_no_replica_is_refused(tmp_path):
    with pytest.raises(NotAReplica):
        faults.freeze(tmp_path, "s3")


def test_partition_without_proxies_says_how_to_get_them(folder):
    with pytest.raises(NotRunning, match="--with-proxies"):
        faults.partition(folder, "s3")


def test_nothing_can_be_cut_off_from_the_worker(folder):
    with pytest.raises(ForeignTarget, match="no client connects to worker"):
        faults.partition(folder, "worker")


def test_a_server_that_a_limit_would_end_is_not_filled(folder):
    with pytest.raises(ForeignTarget, match="ends at a file size limit"):
        faults.fill(folder, "s3")


def test_one_bit_of_one_file_is_flipped_and_told(folder):
    before = contents(folder)
    did = faults.corrupt(folder, "s3", seed=7).did
    changed = [name for name, content in contents(folder).items() if content != before[name]]
    assert [folder / "s3" / "data" / name for name in changed] == [type(folder)(did["file"])]
    old, new = before[changed[0]], contents(folder)[changed[0]]
    differing = [position for position in range(4096) if old[position] != new[position]]
    assert differing == [did["offset"]]
    assert old[did["offset"]] ^ new[did["offset"]] == 1 << did["bit"]


@pytest.mark.parametrize("how", ["flip", "truncate", "delete"])
def test_healing_puts_back_what_was_damaged(folder, how):
    before = contents(folder)
    faults.corrupt(folder, "s3", how=how, seed=1)
    faults.corrupt(folder, "s3", how=how, seed=2)
    assert contents(folder) != before
    faults.heal(folder, "s3")
    assert contents(folder) == before


def test_healing_one_server_leaves_the_damage_of_another(folder):
    faults.corrupt(folder, "s3", how="delete")
    assert faults.heal(folder, "postgres").did["restored"] == []
    assert len(faults.heal(folder, "s3").did["restored"]) == 1


def test_the_same_seed_does_the_same_damage(folder):
    first = faults.corrupt(folder, "s3", seed=3).did
    faults.heal(folder, "s3")
    assert faults.corrupt(folder, "s3", seed=3).did == first
    faults.heal(folder, "s3")
    assert len({faults.corrupt(folder, "s3", seed=seed).did["file"] for seed in range(20)}) == 3


def test_a_pattern_narrows_the_choice(folder):
    assert faults.corrupt(folder, "s3", match="*.idx").did["file"].endswith("3.idx")
    with pytest.raises(ForeignTarget, match="fits"):
        faults.corrupt(folder, "s3", match="*.sst")


def test_empty_files_are_not_chosen(folder):
    with pytest.raises(ForeignTarget, match="no file below"):
        faults.corrupt(folder, "s3", match="empty")


@pytest.mark.parametrize("under", ["..", "/etc", ".", "s3/../../outside"])
def test_a_path_outside_the_state_folder_is_refused(folder, under):
    (folder.parent / "outside").mkdir(exist_ok=True)
    with pytest.raises(ForeignTarget, match="is not below the state folder"):
        faults.corrupt(folder, "s3", under=type(folder)(under))


@pytest.mark.parametrize("under", ["secrets", "keys", "programs", "faults", "s3/../secrets"])
def test_what_the_replica_works_with_is_refused(folder, under):
    (folder / "secrets").mkdir(exist_ok=True)
    with pytest.raises(ForeignTarget, match="is the replica's own"):
        faults.corrupt(folder, "s3", under=type(folder)(under))


def test_links_out_of_the_state_folder_are_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis").write_bytes(b"years of work")
    shutil.rmtree(folder / "s3" / "data")
    (folder / "s3" / "data").mkdir()
    (folder / "s3" / "data" / "file").symlink_to(outside / "thesis")
    (folder / "s3" / "data" / "folder").symlink_to(outside)
    with pytest.raises(ForeignTarget, match="no file below"):
        faults.corrupt(folder, "s3")
    shutil.rmtree(folder / "s3" / "data")
    (folder / "s3" / "data").symlink_to(outside)
    with pytest.raises(ForeignTarget, match="is not below the state folder"):
        faults.corrupt(folder, "s3")
    assert (outside / "thesis").read_bytes() == b"years of work"


@pytest.mark.parametrize("gone", [FileNotFoundError, ProcessLookupError], ids=["before", "during"])
def test_a_process_that_ends_while_its_limits_are_read_keeps_no_server_from_being_mended(monkeypatch, gone):
    def read(pid):
        raise gone

    monkeypatch.setattr(processes, "_file_size_limits", read)
    assert processes.limit_file_size(os.getpid(), None) == []
