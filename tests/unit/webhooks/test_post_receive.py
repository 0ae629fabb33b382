"""Git's hook tells of the branch of releases, by what the push says, and of nothing that it does not understand."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from demo.shop.repository import git
from replica.state import checkout

HOOK = checkout() / "deployments" / "webhooks" / "post-receive"


@pytest.fixture
def clone(tmp_path):
    """Of a repository whose hook writes down what it would call."""
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/called\nexit $(cat {tmp_path}/status)\n')
    program.chmod(0o755)
    (tmp_path / "status").write_text("0")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    shutil.copy(HOOK, bare / "hooks")
    for name, value in {"repository": "shop", "settings": "/etc/s.toml", "python": str(program)}.items():
        git(bare, "config", f"steward.{name}", value)
    git(bare, "config", "receive.advertisePushOptions", "true")
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    git(clone, "checkout", "--quiet", "-B", "main")
    return clone


def pushed(clone, *options, to="main"):
    """The commit, and what Git said to whoever pushed."""
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "one")
    words = ["git", "push", "--quiet", *(f"--push-option={each}" for each in options), "origin", f"HEAD:{to}"]
    done = subprocess.run(words, cwd=clone, check=True, capture_output=True, text=True)
    return git(clone, "rev-parse", "HEAD"), done.stderr


def called(clone):
    path = clone.with_name("called")
    return path.read_text().splitlines() if path.exists() else []


def test_a_push_is_told_by_its_commit_under_an_id_of_what_it_changed(clone):
    first, _ = pushed(clone)
    second, _ = pushed(clone, "first", "flag=new-ranking")
    words = called(clone)
    assert words[:8] == ["-m", "steward", "webhooks", "send", "ci", "git.push", "--settings", "/etc/s.toml"]
    ids = [words[at + 1] for at, each in enumerate(words) if each == "--id"]
    assert ids == [f"shop/{'0' * 40}..{first}", f"shop/{first}..{second}"]
    data = [json.loads(words[at + 1]) for at, each in enumerate(words) if each == "--data"]
    told = {"repository": "shop", "commit": first, "ref": "refs/heads/main"}
    assert data == [told, {**told, "commit": second, "first": True, "flag": "new-ranking"}]


def test_another_branch_and_one_that_is_removed_are_nobodys_release(clone):
    pushed(clone, to="wip")
    git(clone.with_name("bare.git"), "config", "steward.branch", "wip")
    git(clone, "push", "--quiet", "origin", ":wip")
    assert called(clone) == []


@pytest.mark.parametrize("option", ["skip-gates", 'flag=a", "first": true, "x": "'])
def test_an_option_that_means_nothing_tells_nobody_and_says_so(clone, option):
    _, said = pushed(clone, option)
    assert called(clone) == []
    assert "nobody was told" in said


def test_a_receiver_that_is_not_told_is_said_to_whoever_pushed(clone):
    clone.with_name("status").write_text("1")
    commit, said = pushed(clone)
    assert f"the receiver was not told of {commit}" in said
