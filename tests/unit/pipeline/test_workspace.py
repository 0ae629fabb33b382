"""An operation's folder: one process at a time, nothing left of it, and no secret of the settings unknown in it."""

import fcntl
import os
import time
from types import SimpleNamespace

import pytest

from steward.clients.commands import remove_tree
from steward.errors import BadInput
from steward.settings import Settings
from tasks import pipeline_workspace
from tasks.pipeline_workspace import WorkspaceBusy, remove_workspace, secrets_of, workspace

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort\n-----END PRIVATE KEY-----"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline_workspace, "operation", lambda: SimpleNamespace(id=7))
    monkeypatch.setattr(pipeline_workspace, "_LOCK_SECONDS", 0.1)
    for name, secret in {"key.pem": PEM, "password": "a password"}.items():
        (tmp_path / name).write_text(secret)
    where = f"file:{tmp_path}"
    return Settings.model_validate(
        {
            "search": {},
            "postgres": {"url": "postgresql://steward@localhost/steward", "password": f"{where}/password"},
            "objects": {
                "region": "here",
                "evidence_bucket": "evidence",
                "access_key": f"{where}/nothing",
                "secret_key": f"{where}/password",
            },
            "evidence": {"signing_key": f"{where}/key.pem", "public_key": str(tmp_path / "public.pem")},
            "pipeline": {
                "folder": str(tmp_path / "work"),
                "repositories": {"shop": {"url": str(tmp_path / "shop"), "flag": "f"}},
            },
        }
    )


def test_a_process_that_is_at_work_in_it_keeps_another_out_and_a_killed_one_does_not(settings):
    with workspace(settings, "shop") as work:
        assert work.folder.stat().st_mode & 0o777 == 0o700
        with pytest.raises(WorkspaceBusy) as busy, workspace(settings, "shop"):
            pass
    assert busy.value.transient
    with workspace(settings, "shop"):
        pass


def test_nothing_of_it_is_left_though_a_command_has_made_it_unwritable(settings):
    with workspace(settings, "shop") as work:
        sealed = work.folder / "home" / "go" / "mod"
        sealed.mkdir(parents=True)
        (sealed / "file").touch()
        sealed.chmod(0o500)
        sealed.parent.chmod(0)
    remove_workspace(settings)
    remove_workspace(settings)
    assert list(settings.proving.folder.iterdir()) == []


def test_what_others_left_a_week_ago_goes_and_what_they_work_in_stays(settings):
    root = settings.proving.folder
    for name in ("5", "6"):
        (root / name).mkdir(parents=True)
        (root / f"{name}.lock").touch()
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(root / "5.lock", (week_ago, week_ago))
    remove_workspace(settings)
    assert {each.name for each in root.iterdir()} == {"6", "6.lock"}


def test_one_that_is_held_still_is_no_leftover_however_old(settings):
    root = settings.proving.folder
    (root / "5").mkdir(parents=True)
    with (root / "5.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(root / "5.lock", (0, 0))
        remove_workspace(settings)
    assert (root / "5").exists()


def test_a_link_out_of_it_is_removed_and_what_it_leads_to_left_alone(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o500)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "theirs")
    remove_tree(tmp_path / "mine")
    assert (tmp_path / "theirs").stat().st_mode & 0o777 == 0o500
    assert not (tmp_path / "mine").exists()


def test_every_secret_that_the_settings_refer_to_is_known_and_each_line_of_a_key(settings):
    assert set(secrets_of(settings)) == {
        PEM,
        "a password",
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "-----END PRIVATE KEY-----",
    }


def test_a_folder_that_cannot_be_made_is_told(settings, tmp_path):
    (tmp_path / "work").touch()
    with pytest.raises(BadInput, match=r"cannot write to .*work"), workspace(settings, "shop"):
        pass
