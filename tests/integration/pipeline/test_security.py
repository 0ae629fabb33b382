"""The gate of security with the real scanners, on real git repositories and a list of vulnerabilities on loopback."""

from __future__ import annotations

import secrets
from http import HTTPStatus

import pytest

from steward.clients.git_versions import versions_of, write_versions
from steward.clients.scanners import VulnerabilitiesAway
from steward.errors import is_transient
from steward.settings import Pipeline
from steward.verdicts import Verdict
from tasks.pipeline_security import prove_security
from tests.integration.pipeline.ground import Sources, candidate, space
from tests.integration.pipeline.osv import osv

pytestmark = pytest.mark.without_search

IDNA = "idna==3.4 \\\n    --hash=sha256:90b77e79eaa3eba6de819a0c442c0b4ceefc341a7a2ab77d7562bf49f425c5c2\n"
SIX = "six==1.16.0 \\\n    --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\n"
CLEAN: dict[str, str | None] = {"lock.txt": SIX, "app/main.py": "print('hello')\n"}
TABLE: dict[str, object] = {"lock": "lock.txt", "sources": ["app"]}


@pytest.fixture(scope="module")
def known():
    with osv() as server:
        yield server


@pytest.fixture
def sources(tmp_path):
    return Sources(tmp_path / "sources")


@pytest.fixture
def prove(tmp_path, settings_of):
    def prove(repository, commit, *, certified="", url=None, **table):
        asked = candidate(commit, {"security": TABLE | table}, certified=certified)
        return prove_security(space(tmp_path / "space", repository), asked, settings_of(url))

    return prove


@pytest.fixture
def settings_of(known, tmp_path):
    class Given:
        def __init__(self, url: str) -> None:
            self.proving = Pipeline(folder=tmp_path, osv_url=url)

    return lambda url: Given(url or known.url)


def made_up_key() -> str:
    """Made here: what looks like a secret is to stand in no file of ours."""
    return "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))


def test_a_commit_that_nothing_is_known_against_is_verified_with_what_was_looked_at(sources, prove, known):
    known.asked.clear()
    found = prove(sources, sources.commit(CLEAN))
    assert found.verdict is Verdict.VERIFIED, found
    assert known.asked == [{"package": {"name": "six", "ecosystem": "PyPI"}, "version": "1.16.0"}]
    assert found.figures == {
        "acceptances_unused": [],
        "dangerous_lines": 0,
        "dangerous_lines_silenced": 0,
        "files": 1,
        "files_unreadable": 0,
        "packages": 1,
        "packages_elsewhere": 0,
        "packages_not_audited": 0,
        "secrets": 0,
        "secrets_accepted": 0,
        "versions": 2,
        "versions_binary": 0,
        "versions_too_large": 0,
        "vulnerabilities": 0,
        "vulnerabilities_accepted": 0,
    }


def test_a_vulnerable_package_refutes_with_what_fixes_it_unless_it_is_accepted_today(sources, prove):
    commit = sources.commit(CLEAN | {"lock.txt": IDNA + SIX})
    found = prove(sources, commit)
    assert found.verdict is Verdict.REFUTED
    assert found.findings == ("idna 3.4 has PYSEC-2024-60 (CVE-2024-3651, GHSA-jjg7-2v4v-x38h): fixed in 3.7",)
    accepted = {"id": "CVE-2024-3651", "reason": "no name of a user's is encoded", "until": "2999-01-01"}
    assert prove(sources, commit, vulnerabilities=[accepted]).verdict is Verdict.VERIFIED
    over = prove(sources, commit, vulnerabilities=[accepted | {"until": "2020-01-01"}])
    assert over.verdict is Verdict.REFUTED
    assert "was accepted until 2020-01-01" in over.findings[0]


@pytest.mark.parametrize("status", [HTTPStatus.SERVICE_UNAVAILABLE, None])
def test_a_list_of_vulnerabilities_that_does_not_answer_is_waited_for(sources, prove, known, status):
    commit = sources.commit(CLEAN)
    known.status = status or HTTPStatus.OK
    try:
        with pytest.raises(VulnerabilitiesAway, match="osv_url in") as away:
            prove(sources, commit, url=None if status else "http://127.0.0.1:9/v1/query")
    finally:
        known.status = HTTPStatus.OK
    assert is_transient(away.value)


def test_what_refutes_already_does_not_wait_for_it(sources, prove):
    commit = sources.commit(CLEAN | {"app/main.py": "import subprocess\nsubprocess.run('ls', shell=True)\n"})
    found = prove(sources, commit, url="http://127.0.0.1:9/v1/query")
    assert found.verdict is Verdict.REFUTED
    assert found.findings[0].startswith("app/main.py:2: S60")
    assert "does not tell which vulnerabilities are known" in found.summary


def test_dangerous_lines_are_found_wherever_they_are_and_silenced_ones_are_counted(sources, prove):
    loud = "import subprocess\nsubprocess.run('ls', shell=True)\n"
    quiet = "import subprocess\nsubprocess.run('ls', shell=True)  # noqa: S602, S607\n"
    commit = sources.commit(
        CLEAN
        # What a linter leaves out by itself, by its own settings, or by the repository's.
        | {"app/build/x.py": loud, "app/.gitignore": "build\n", "pyproject.toml": "[tool.ruff.lint]\nignore = ['S']\n"}
        | {"app/quiet.py": quiet}
    )
    # git itself leaves out what is ignored.
    assert prove(sources, commit).verdict is Verdict.VERIFIED
    found = prove(sources, sources.commit({"app/.gitignore": None, "app/ignored.py": loud}))
    assert found.verdict is Verdict.REFUTED
    assert {each.partition(":")[0] for each in found.findings} == {"app/build/x.py", "app/ignored.py"}
    assert found.figures["dangerous_lines_silenced"] == 2


def test_a_source_that_is_no_python_and_one_that_is_not_there_are_unknown(sources, prove):
    found = prove(sources, sources.commit(CLEAN | {"app/broken.py": "def (\n"}))
    assert found.verdict is Verdict.UNKNOWN
    assert found.findings == ("app/broken.py could not be read as Python",)
    found = prove(sources, sources.commit({"app/broken.py": None}), sources=["app", "lib"])
    assert found.verdict is Verdict.UNKNOWN
    assert found.findings == ("the commit has no lib, which sources in [security] names",)


def test_a_secret_of_the_commit_is_told_by_place_kind_and_hash_and_never_itself(sources, prove):
    key = made_up_key()
    commit = sources.commit(CLEAN | {"docs/how to.md": f"first\nuse {key}  <!-- pragma: allowlist secret -->\n"})
    found = prove(sources, commit)
    assert found.verdict is Verdict.REFUTED
    (told,) = found.findings
    assert told.startswith("docs/how to.md:2: AWS Access Key, hash ")
    assert key not in found.model_dump_json()
    accepted = {"file": "docs/how to.md", "hash": told.rpartition(" ")[2], "reason": "an example"}
    assert prove(sources, commit, secrets=[accepted]).verdict is Verdict.VERIFIED


def test_a_secret_that_came_and_went_since_the_certified_release_is_found_and_an_older_one_is_not(sources, prove):
    sources.commit(CLEAN | {"old.txt": f"key = {made_up_key()}\n"})
    certified = sources.commit({"old.txt": None})
    sources.commit({"new.txt": f"key = {made_up_key()}\n"})
    commit = sources.commit({"new.txt": None})
    found = prove(sources, commit, certified=certified)
    assert found.verdict is Verdict.REFUTED
    (told,) = found.findings
    assert told.startswith("new.txt:1 in an earlier version: AWS Access Key, hash ")
    # Without a certified release the whole history is what is pushed.
    assert len(prove(sources, commit).findings) == 2


def test_no_link_leads_a_scanner_to_a_file_of_this_machine(sources, prove, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(f"import subprocess\nkey = '{made_up_key()}'\nsubprocess.run('ls', shell=True)\n")
    (sources.folder / "app").mkdir()
    (sources.folder / "app" / "link.py").symlink_to(outside)
    (sources.folder / "lock.txt").symlink_to(outside)
    found = prove(sources, sources.commit({"app/main.py": "print()\n"}))
    assert found.verdict is Verdict.UNKNOWN
    assert found.findings == ("the commit has no file lock.txt, which lock in [security] names",)


def test_a_lock_with_a_package_that_has_no_hash_is_unknown(sources, prove):
    found = prove(sources, sources.commit(CLEAN | {"lock.txt": "six==1.16.0\n"}))
    assert found.verdict is Verdict.UNKNOWN
    assert "nothing was found out: pip-audit ended with 1" in found.summary


def test_scanners_that_are_not_done_in_time_leave_it_unknown(sources, prove):
    found = prove(sources, sources.commit(CLEAN), seconds=0.001)
    assert found.verdict is Verdict.UNKNOWN
    assert [each.partition(" was not done")[0] for each in found.findings] == [
        f"nothing was found out: {name}" for name in ("ruff", "detect-secrets", "pip-audit")
    ]


def test_one_content_is_looked_through_once_and_binaries_are_counted(sources, tmp_path, prove):
    (sources.folder / "image.bin").write_bytes(b"\x00\x01")
    commit = sources.commit(CLEAN | {"copy.py": CLEAN["app/main.py"]})
    found = prove(sources, commit)
    assert found.figures["versions"] == 2
    assert found.figures["versions_binary"] == 1
    folder = tmp_path / "space" / "repository.git"
    assert [version.path for version in versions_of(folder, commit, None)] == ["app/main.py", "image.bin", "lock.txt"]


def test_of_text_that_is_too_much_nothing_is_written_and_what_comes_after_is(sources, tmp_path):
    (sources.folder / "large.bin").write_bytes(b"\0" + b"x" * 3_000_000)
    commit = sources.commit(
        {"a.txt": "a" * 60, "b.txt": "b" * 101, "c.txt": "c" * 50, "d.txt": "d" * 40, "large.txt": "x" * 3_000_000}
    )
    repository = space(tmp_path / "space", sources).repository
    repository.fetch(commit)
    written = write_versions(
        repository.folder,
        versions_of(repository.folder, commit, None),
        tmp_path / "files",
        most_bytes=100,
        most_of_all=100,
    )
    assert {version.path: (tmp_path / "files" / name).read_text() for name, version in written.files.items()} == {
        "a.txt": "a" * 60,
        "d.txt": "d" * 40,
    }
    assert [version.path for version in written.too_large] == ["b.txt", "c.txt", "large.txt"]
    assert [version.path for version in written.binary] == ["large.bin"]
