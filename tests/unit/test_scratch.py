"""Folders for files on their way: nothing stays of them, whoever was killed."""

import multiprocessing
import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest

from steward.clients.scratch import scratch_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def fail_within():
    with scratch_folder("costs") as folder:
        (folder / "hour.parquet").write_bytes(b"rows")
        raise LookupError


def test_a_folder_is_gone_with_its_block_also_when_that_raises(temporary):
    with pytest.raises(LookupError):
        fail_within()
    assert [*temporary.iterdir()] == []


def die_within(temporary):
    tempfile.tempdir = str(temporary)
    with scratch_folder("costs") as folder:
        (folder / "hour.parquet").write_bytes(b"rows")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_goes_with_the_next_folder_of_its_kind(temporary):
    process = multiprocessing.get_context("fork").Process(target=die_within, args=(temporary,))
    process.start()
    process.join()
    assert len([*temporary.iterdir()]) == 1
    with scratch_folder("focus"):
        assert len([*temporary.iterdir()]) == 2
    with scratch_folder("costs") as mine:
        assert [*temporary.iterdir()] == [mine]


def test_a_folder_in_which_somebody_works_stays(temporary):
    with scratch_folder("costs") as one, scratch_folder("costs") as other:
        assert one != other
        assert {*temporary.iterdir()} == {one, other}


def test_a_link_of_such_a_name_is_nobody_s_folder(temporary, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept").touch()
    (temporary / "steward-costs-link").symlink_to(elsewhere)
    with scratch_folder("costs"):
        pass
    assert (elsewhere / "kept").exists()


def test_many_at_once_take_each_their_own_and_leave_none(temporary):
    def work():
        for _ in range(40):
            with scratch_folder("costs") as folder:
                (folder / "file").write_bytes(b"1")
                assert [each.name for each in Path(folder).iterdir()] == ["file"]

    failed = []
    workers = [threading.Thread(target=lambda: _run(work, failed)) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert not failed
    assert [*temporary.iterdir()] == []


def _run(work, failed):
    try:
        work()
    except BaseException as error:  # noqa: BLE001  told by the test's own thread
        failed.append(error)
