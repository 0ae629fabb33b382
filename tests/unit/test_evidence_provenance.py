from __future__ import annotations

import shutil
import socket
import subprocess

import pytest

from steward.evidence import provenance

look = provenance.code_version.__wrapped__  # as a new process would: nothing remembered


def _git(folder, *arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "tree" / "steward"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    _git(tmp_path / "tree", "init", "-q")
    _git(tmp_path / "tree", "add", ".")
    _git(tmp_path / "tree", "commit", "-q", "-m", "first")
    return folder


def test_a_clean_work_tree_is_its_commit(package):
    assert look(package).model_dump() == {
        "version": look(package).version,
        "commit": _git(package, "rev-parse", "HEAD"),
        "modified": False,
    }


def test_a_change_that_is_not_committed_is_told(package):
    (package / "__init__.py").write_text("changed = True\n")
    assert look(package).modified is True


def test_a_new_file_that_is_not_committed_is_told(package):
    (package.parent / "sitecustomize.py").write_text("import os\n")
    assert look(package).modified is True


def test_a_package_inside_somebody_else_s_work_tree_does_not_take_its_commit(package):
    installed = package.parent / ".venv" / "steward"
    installed.mkdir(parents=True)
    shutil.copy(package / "__init__.py", installed)
    found = look(installed)
    assert (found.commit, found.modified) == (None, None)


def test_a_hook_s_repository_is_not_taken_for_ours(package, tmp_path, monkeypatch):
    _git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    commit = look(package).commit
    monkeypatch.delenv("GIT_DIR")
    assert commit == _git(package, "rev-parse", "HEAD")


def test_without_git_the_commit_is_not_known(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = look(package)
    assert (found.commit, found.modified) == (None, None)
    assert found.version


def test_the_commit_that_pip_recorded_is_found(monkeypatch):
    recorded = '{"url": "https://example.com/steward.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}}'
    distribution = type("Installed", (), {"read_text": lambda _self, _name: recorded})()
    monkeypatch.setattr(provenance.metadata, "distribution", lambda _name: distribution)
    assert provenance._installed_commit() == "abc123"


def test_the_host_is_told_by_kind_and_not_by_name():
    assert socket.gethostname() not in provenance.host_class()
    assert " CPUs, " in provenance.host_class()
