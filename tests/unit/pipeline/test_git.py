"""A commit of somebody else's repository is laid out, and nothing of it obeyed."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from demo.shop.repository import commit, git, make
from steward.clients import git as client
from steward.clients.commands import run_command
from steward.clients.git import Repository
from steward.errors import BadInput
from steward.pipeline.errors import GitMissing, GitRefused, NoSuchCommit, RepositoryAway
from steward.settings import PipelineRepository

NOWHERE = "0" * 40


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("git") / "shop"
    return folder, make(folder)


def repository(tmp_path, url, token=None):
    return Repository(tmp_path / "repository.git", PipelineRepository(url=str(url), flag="f", token=token), None)


def test_a_commit_is_laid_out_as_it_is_and_without_the_repository(shop, tmp_path):
    folder, commits = shop
    mine = repository(tmp_path, folder)
    mine.fetch(commits["good"])
    mine.lay_out(commits["good"], tmp_path / "out")
    assert "a little better" in (tmp_path / "out" / "dials.toml").read_text()
    assert not (tmp_path / "out" / ".git").exists()
    assert mine.tree(commits["good"]) == git(folder, "rev-parse", f"{commits['good']}^{{tree}}")
    assert mine.read(commits["good"], "pipeline.toml") == (folder / "pipeline.toml").read_bytes()
    assert mine.read(commits["good"], "no.toml") is None
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".new")] == []


def test_what_an_attempt_that_was_killed_left_half_way_is_laid_out_anew(shop, tmp_path):
    folder, commits = shop
    mine = repository(tmp_path, folder)
    mine.fetch(commits["steady"])
    (tmp_path / "out.new").mkdir()
    (tmp_path / "out.new" / "stranger").touch()
    mine.lay_out(commits["steady"], tmp_path / "out")
    assert not (tmp_path / "out" / "stranger").exists()


def test_the_history_of_a_commit_comes_along_so_that_it_can_be_scanned(shop, tmp_path):
    folder, commits = shop
    mine = repository(tmp_path, folder)
    mine.fetch(commits["good"])
    assert mine.has(commits["steady"])
    assert not mine.has(commits["red"])


def test_a_commit_that_is_not_there_is_told_from_a_repository_that_is_not(shop, tmp_path):
    with pytest.raises(NoSuchCommit, match=f"has no commit {NOWHERE}"):
        repository(tmp_path, shop[0]).fetch(NOWHERE)
    with pytest.raises(GitRefused, match="cannot be fetched from"):
        repository(tmp_path / "other", tmp_path / "nowhere").fetch(NOWHERE)
    with pytest.raises(RepositoryAway) as away:
        repository(tmp_path / "third", "https://127.0.0.1:9/shop.git").fetch(NOWHERE)
    assert away.value.transient


def test_a_machine_without_git_is_told_as_that_and_not_as_a_commit_that_is_not_there(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "PATH", str(tmp_path))
    with pytest.raises(GitMissing, match=f"there is no program git in {tmp_path}") as missing:
        repository(tmp_path, shop[0]).fetch(shop[1]["good"])
    assert "A build machine" in missing.value.hint
    assert "## A build machine" in (Path(__file__).parents[3] / "docs" / "ci.md").read_text()


@pytest.mark.parametrize("word", ["HEAD", "--upload-pack=touch /tmp/x", NOWHERE[:39], "main"])
def test_only_a_whole_commit_is_asked_for(shop, tmp_path, word):
    with pytest.raises(BadInput, match="is no commit"):
        repository(tmp_path, shop[0]).fetch(word)


def test_neither_hooks_nor_filters_nor_submodules_of_a_repository_are_run(shop, tmp_path):
    folder, trap = shop[0], tmp_path / "sprung"
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o700)
    git(folder, "config", "filter.trap.smudge", f"touch {trap}; cat")
    try:
        made = commit(
            folder, "trap", {".gitattributes": "* filter=trap\n", ".gitmodules": '[submodule "x"]\npath=x\nurl=/x\n'}
        )
        trap.unlink(missing_ok=True)
        mine = repository(tmp_path, folder)
        mine.fetch(made)
        mine.lay_out(made, tmp_path / "out")
    finally:
        hook.unlink()
        git(folder, "config", "--remove-section", "filter.trap")
    assert (tmp_path / "out" / ".gitattributes").exists()
    assert not trap.exists()


def test_a_token_is_for_git_alone_and_stands_in_no_argument(shop, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("a-secret-token")
    seen = []

    def run(command, folder, **told):
        seen.append((command, told["environment"]))
        return run_command(command, folder, **told)

    monkeypatch.setattr(client, "run_command", run)
    with pytest.raises(RepositoryAway) as away:
        repository(tmp_path, "https://127.0.0.1:9/shop.git", f"file:{tmp_path}/token").fetch(NOWHERE)
    (fetch, environment), others = seen[-1], seen[:-1]
    assert "a-secret-token" not in f"{fetch} {away.value}"
    assert [each for each in environment.values() if each.startswith("Authorization: Basic ")]
    assert not [each for _, told in others for each in told.values() if each.startswith("Authorization")]
    assert environment["GIT_CONFIG_NOSYSTEM"] == "1"


@pytest.mark.parametrize(
    "url", ["ext::sh -c id", "--upload-pack=id", "../shop", "https://user:word@host/x", "http://host/x", "git://host/x"]
)
def test_what_would_run_a_program_or_show_a_password_is_no_address(url):
    with pytest.raises(ValidationError, match="expected https://HOST/PATH"):
        TypeAdapter(PipelineRepository).validate_python({"url": url, "flag": "f"})
