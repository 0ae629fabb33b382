"""A build makes one artifact from a checkout that nobody has touched, and a commit that was built once is built where it is missing."""

import pytest

from demo.shop.repository import git
from steward.clients.git import Repository
from steward.pipeline.manifest import Build, Manifest
from steward.pipeline.request import Candidate, CandidateRequest
from steward.settings import PipelineRepository
from steward.verdicts import Verdict
from tasks.pipeline_build import NotBuilt, build, built
from tasks.pipeline_tests import prove_unit_tests
from tasks.pipeline_workspace import Workspace
from tests.unit.pipeline.test_report import CANDIDATE


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build") / "source"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "out").mkdir()
    (folder / "out" / "unit.xml").write_text('<testsuite><testcase name="stale"/></testsuite>')
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "one")
    return folder, git(folder, "rev-parse", "HEAD")


@pytest.fixture
def work(source, tmp_path):
    repository = Repository(tmp_path / "repository.git", PipelineRepository(url=str(source[0]), flag="f"), None)
    return Workspace(tmp_path, repository, most_seconds=5, variables={"WHO": "me"}, struck=())


def candidate(commit, script, **tables):
    told = {"command": ["sh", "-c", script], "artifact": "out/*.bin"}
    manifest = Manifest.model_validate({"format": "steward-pipeline-v1", "build": told, **tables})
    request = CandidateRequest(repository="shop", commit=commit)
    return Candidate(**{**CANDIDATE.model_dump(), "request": request, "commit": commit, "manifest": manifest})


@pytest.mark.parametrize(
    ("script", "verdict", "says"),
    [
        ("exit 3", Verdict.REFUTED, "sh ended with 3"),
        ("true", Verdict.REFUTED, "out/*.bin fits 0 files, expected exactly one"),
        ("touch out/a.bin out/b.bin", Verdict.REFUTED, "out/*.bin fits 2 files"),
        ("ln -s /etc/hostname out/a.bin", Verdict.REFUTED, "out/*.bin fits 0 files"),
        ("rm -r out; ln -s /etc out; touch out.bin", Verdict.REFUTED, "out/*.bin fits 0 files"),
        ("head -c 2000 /dev/zero > out/a.bin", Verdict.REFUTED, "2,000 bytes, 1,000 are allowed"),
        ("kill -9 $$", Verdict.UNKNOWN, "ended by signal 9"),
    ],
    ids=["fails", "none", "two", "a link", "a linked folder", "too large", "killed"],
)
def test_anything_but_one_artifact_of_a_command_that_ended_well_is_none(source, work, script, verdict, says):
    found, artifact = build(work, candidate(source[1], script), _Settings())
    assert (found.verdict, artifact) == (verdict, None)
    assert says in found.summary


class _Settings:
    """As much of them as is read before anything is kept."""

    class proving:  # noqa: N801  as the settings call it
        most_artifact_bytes = 1000


def test_what_an_attempt_that_was_ended_half_way_made_is_not_there_when_it_is_built_again(source, work):
    left = work.checkout(source[1]) / "out" / "left.bin"
    left.touch()
    found, _ = build(work, candidate(source[1], "true"), _Settings())
    assert "fits 0 files" in found.summary


def test_a_commit_is_built_where_that_is_missing_and_once(source, work):
    told = Build(command=("sh", "-c", "echo $COMMIT $WHO >> out/built"), artifact="out/*.bin")
    folder = built(work, source[1], told)
    assert built(work, source[1], told) == folder
    assert (folder / "out" / "built").read_text() == f"{source[1]} me\n"


def test_one_that_is_not_built_here_is_no_verdict_on_it(source, work):
    with pytest.raises(NotBuilt, match="was built once, and is not built here: sh ended with 1"):
        built(work, source[1], Build(command=("sh", "-c", "exit 1"), artifact="out/*.bin"))


def test_a_junit_file_that_the_commit_itself_has_says_nothing_of_a_run(source, work):
    tests = {"unit_tests": {"command": ["true"], "junit": "out/unit.xml"}}
    found = prove_unit_tests(work, candidate(source[1], "true", **tests), _Settings())
    assert (found.verdict, "left no JUnit XML behind" in found.summary) == (Verdict.UNKNOWN, True)


def test_a_repositorys_own_time_is_bounded_by_the_settings(source, work):
    ran = work.run(("sleep", "60"), work.checkout(source[1]), 0.2)
    assert ran.end == "timed_out"
    assert (
        Workspace(work.folder, work.repository, 0.1, {}, ()).run(("sleep", "60"), work.folder, 600).end == "timed_out"
    )


def test_a_manifest_is_read_as_the_ledger_keeps_it():
    manifest = CANDIDATE.manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
