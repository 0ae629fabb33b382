"""A commit becomes a release only on evidence of every gate, and only then is anybody told."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime

import pytest

import tasks.durable
import tasks.pipeline_publishing
import tasks.pipeline_stages
from demo.shop import releases
from demo.shop.repository import changes, commit, git
from steward.clients.postgres import connect
from steward.clients.s3 import ObjectStoreUnavailable, open_evidence_bucket
from steward.errors import BadInput
from steward.notices.errors import ReceiverRefused
from steward.pipeline.errors import CertifiedUnproved, GitMissing, NoSuchCommit, UnknownRepository, UnusableManifest
from steward.rollout.gates import Gate, GatesNeeded, assess_gates
from steward.verdicts import Verdict
from tasks.rollout_gates import gates_of
from tests.flows.candidate_ground import FAILED, PASSED, ground, laid
from tests.flows.killed_runs import Death
from tests.flows.prefect_server import artifact, recording_in
from tests.unit.pipeline.test_commands import marked

pytestmark = pytest.mark.without_search

__all__ = ["ground", "laid"]


def verdicts(report):
    return {each.gate: each.found.verdict for each in report.stages}


@pytest.fixture(scope="module")
def steady(laid, replica):
    """The release that users have: it came through the pipeline as the first one."""
    with recording_in(replica), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEWARD_SETTINGS", str(laid.file))
        return laid.run(laid.request(laid.shop["steady"], "shop")).candidate.release


@pytest.fixture
def proved_steady(ground, steady):
    ground.certify(steady)
    yield steady
    ground.uncertify()


def test_a_good_commit_is_proved_against_what_users_have_handed_over_and_announced(ground, proved_steady):
    report = ground.run(ground.request(ground.shop["good"], "shop", first=False, because="a ticket"))
    release, good = report.candidate.release, ground.shop["good"]
    assert (report.verdict, report.candidate.certified.commit) == (Verdict.VERIFIED, ground.shop["steady"])

    # How much of its suites is there, by what users have passed of theirs.
    for gate, before in report.candidate.certified.tests.items():
        (stated,) = ground.statements("quality-gate", f"{release}/{gate}")
        assert (before.release, stated.figures["passed_before"]) == (proved_steady, before.passed)
        assert before.suites == stated.figures["suites"] != {}
    assert len(report.candidate.certified.tests) == len(("unit", "contract"))

    # What a rollout asks for, as it asks.
    with connect(ground.settings) as db:
        gates = gates_of(db, ground.settings, release)
    assert gates.commit == good
    assert assess_gates(GatesNeeded(), gates, release, datetime.now(UTC)).verdict is Verdict.VERIFIED
    for evidence in gates.evidence:
        (stated,) = ground.statements("quality-gate", f"{release}/{evidence.gate}")
        assert hashlib.sha256(stated.payload()).hexdigest() == evidence.statement
        assert stated.verdict is Verdict.VERIFIED
    (whole,) = ground.statements("release-candidate", release)
    assert whole.figures["tree"] == git(ground.folder / "shop", "rev-parse", f"{good}^{{tree}}")

    # What was proved is what the host has, and what is kept.
    assert "a little better" in ground.handed_over()[release]
    with open_evidence_bucket(ground.settings) as bucket:
        kept = bucket.get(report.artifact.key)
    assert kept.body == (ground.folder / "taken" / f"{release}.toml").read_bytes()
    assert kept.locked_until is not None

    (told,) = ground.told_of(good)
    assert told.id == f"{release}/{good}"
    assert (told.data["release"], told.data["flag"], told.data["because"]) == (release, "new-search", "a ticket")
    assert told.data["statement"] == hashlib.sha256(whole.payload()).hexdigest()
    (made,) = ground.deployed(good)
    assert (made["environment"], made["description"]) == ("production", "a ticket")
    assert made["payload"] == {"release": release, "flag": "new-search", "statement": told.data["statement"]}
    assert f"# Release {release}: VERIFIED" in artifact("release-candidate")


def test_a_red_test_refutes_it_every_other_gate_is_checked_and_nobody_is_told(ground, monkeypatch):
    events = []
    monkeypatch.setattr(tasks.pipeline_publishing, "emit_event", lambda **event: events.append(event))
    commit = ground.tiny(unit_xml=FAILED, unit_sh="exit 1")
    report = ground.refused(ground.request(commit))
    assert report.verdict is Verdict.REFUTED
    assert verdicts(report) == {
        Gate.BUILD: Verdict.VERIFIED,
        Gate.UNIT_TESTS: Verdict.REFUTED,
        Gate.CONTRACT_TESTS: Verdict.VERIFIED,
        # Its pipeline.toml has no table of these.
        Gate.MIGRATIONS: Verdict.UNKNOWN,
        Gate.SECURITY: Verdict.UNKNOWN,
        Gate.PERFORMANCE: Verdict.UNKNOWN,
    }
    assert report.stages[1].found.findings == ("a.two",)
    ((name, payload),) = [(each["event"], each["payload"]) for each in events]
    assert (name, payload["commit"]) == ("steward.release.refuted", commit)
    assert payload["findings"][0].startswith("unit_tests: REFUTED: 1 of 2 tests passed")
    assert (ground.told_of(commit), report.candidate.release in ground.handed_over()) == ([], False)
    (stated,) = ground.statements("quality-gate", f"{report.candidate.release}/unit_tests")
    assert (stated.verdict, stated.findings) == (Verdict.REFUTED, ("a.two",))
    with connect(ground.settings) as db:
        gates = gates_of(db, ground.settings, report.candidate.release)
    assert assess_gates(GatesNeeded(), gates, report.candidate.release, datetime.now(UTC)).verdict is Verdict.REFUTED
    # Never again to see whether it is green now.
    assert ground.ran(commit) == ["build", "unit", "contract"]


def test_a_green_suite_that_skips_more_than_the_settings_allow_leaves_its_gate_unknown(ground):
    skipping = PASSED.format("unit").replace("/></testsuite>", "><skipped/></testcase></testsuite>")
    report = ground.refused(ground.request(ground.tiny(unit_xml=skipping, contract_xml=skipping)))
    found = {each.gate: each.found for each in report.stages}
    assert (found[Gate.UNIT_TESTS].verdict, found[Gate.UNIT_TESTS].findings) == (
        Verdict.UNKNOWN,
        ("skipped: unit.two",),
    )
    assert "raise most_skipped in [pipeline.repositories.tiny.unit_tests]" in found[Gate.UNIT_TESTS].summary
    # Of this gate the ground's settings allow one.
    assert found[Gate.CONTRACT_TESTS].verdict is Verdict.VERIFIED


def test_of_a_build_that_fails_nothing_is_checked_and_its_last_words_are_shown(ground):
    commit = ground.tiny(build_sh="echo the compiler is not amused; exit 2")
    report = ground.refused(ground.request(commit))
    assert verdicts(report) == dict.fromkeys(Gate, Verdict.UNKNOWN) | {Gate.BUILD: Verdict.REFUTED}
    assert ground.ran(commit) == ["build"]
    assert "    the compiler is not amused" in artifact("release-candidate")


def test_a_gate_that_hangs_is_unknown_and_its_processes_are_gone(ground):
    commit = ground.tiny(
        unit_sh="setsid sh -c 'exec -a hangs-for-ever sleep 600' & exec python -c 'import time; time.sleep(600)' hangs-for-ever"
    )
    report = ground.refused(ground.request(commit))
    assert (report.verdict, verdicts(report)[Gate.UNIT_TESTS]) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert "was not done in 2 s" in report.stages[1].found.summary
    assert verdicts(report)[Gate.CONTRACT_TESTS] is Verdict.VERIFIED
    assert marked("hangs-for-ever") == []


def test_killed_at_a_gate_another_run_goes_on_there_and_each_ran_once(ground):
    commit = ground.tiny()
    request = ground.request(commit)
    ground.killed(request, "k1", Death("call", "tasks.pipeline_tests:_run#2"))
    assert ground.ran(commit) == ["build", "unit"]
    report = ground.refused(request, "k1")
    assert ground.ran(commit) == ["build", "unit", "contract"]
    assert verdicts(report)[Gate.CONTRACT_TESTS] is Verdict.VERIFIED
    assert len(ground.statements("quality-gate", f"{request.name}/build")) == 1


def test_killed_on_a_machine_that_is_lost_another_builds_for_its_tests_and_what_is_kept_stays(ground):
    commit = ground.tiny(
        build_sh="date +%s%N >> build/release.toml; sed -i 's/^\\([0-9]*\\)$/# \\1/' build/release.toml"
    )
    request = ground.request(commit)
    ground.killed(request, "k2", Death("call", "tasks.pipeline_tests:_run"))
    (kept,) = ground.workspace.glob("*/*/build/release.toml")
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    shutil.rmtree(ground.workspace)
    report = ground.refused(request, "k2")
    assert ground.ran(commit) == ["build", "build", "unit", "contract"]
    assert (report.artifact.sha256, len(ground.statements("quality-gate", f"{request.name}/build"))) == (digest, 1)


def test_the_demos_bad_commits_are_refuted_each_by_its_gate(ground, proved_steady):
    changed = changes()
    # Their changes in one commit: each gate sees its own.
    together = commit(ground.folder / "shop", "together", changed["red"] | changed["leaky"] | changed["slow"])
    report = ground.refused(ground.request(together, "shop", first=False))
    assert {each for each, verdict in verdicts(report).items() if verdict is not Verdict.VERIFIED} == {
        Gate.UNIT_TESTS,
        Gate.SECURITY,
        Gate.PERFORMANCE,
    }
    assert report.verdict is Verdict.REFUTED
    assert (ground.told_of(together), ground.deployed(together)) == ([], [])


def test_refused_by_its_receiver_and_killed_after_it_was_announced_it_is_proved_once_and_told_the_same(
    ground,
):
    request = ground.request(ground.shop["erring"], "shop")
    ground.receiver.answers = [422]
    with pytest.raises(ReceiverRefused, match="422"):
        ground.run(request, "k3")
    ground.killed(request, "k3", Death("after", "announce_candidate"))
    report = ground.run(request, "k3")
    assert report.verdict is Verdict.VERIFIED
    first, *others = ground.told_of(ground.shop["erring"])
    assert others == [first, first]
    assert len(ground.deployed(ground.shop["erring"])) == 1
    assert len(ground.statements("quality-gate", f"{request.name}/build")) == 1
    # What users would come to feel, no gate sees: that is what a rollout is for.
    release = releases.read(request.name, ground.folder / "taken")
    assert release.on.erring_percent == 5


def test_bad_input_is_refused_before_anything_of_the_commit_runs(ground, monkeypatch):
    commit = ground.tiny()
    with monkeypatch.context() as without:
        without.setattr("steward.clients.git.PATH", "/nowhere")
        with pytest.raises(GitMissing, match="there is no program git in /nowhere"):
            ground.run(ground.request(commit))
    with pytest.raises(UnknownRepository, match=r"unknown repository 'other'; known: shop, tiny"):
        ground.run(ground.request(commit, "other"))
    with pytest.raises(NoSuchCommit, match="has no commit 0000"):
        ground.run(ground.request("0" * 40))
    with pytest.raises(BadInput, match="no release is certified in production") as alone:
        ground.run(ground.request(commit, first=False))
    assert "say so: first" in alone.value.hint
    wrong = ground.tiny(pipeline_toml='format = "steward-pipeline-v1"\n[build]\ncommand = "make"\nartifact = "x"\n')
    with pytest.raises(UnusableManifest, match=f"pipeline.toml of commit {wrong}: build.command: Input should be"):
        ground.run(ground.request(wrong))
    missing = ground.tiny(pipeline_toml="")
    with pytest.raises(UnusableManifest, match=f"commit {missing} has no pipeline.toml"):
        ground.run(ground.request(missing))
    for each in (commit, wrong, missing):
        assert ground.ran(each) == []
        assert ground.statements("release-candidate", each[:12]) == []


def test_a_certified_release_whose_commit_nothing_tells_is_nothing_to_compare_with(ground):
    ground.certify("steady")
    try:
        with pytest.raises(BadInput, match="no evidence tells the commit of steady"):
            ground.run(ground.request(ground.tiny(), first=False))
    finally:
        ground.uncertify()


def test_what_the_certified_release_passed_is_compared_with_as_it_was_signed_or_a_person_says_without(
    ground, proved_steady, monkeypatch
):
    def unrecorded(db, settings, release):
        had = gates_of(db, settings, release)
        return had.model_copy(
            update={"evidence": tuple(each.model_copy(update={"statement": "0" * 64}) for each in had.evidence)}
        )

    monkeypatch.setattr("tasks.pipeline_beginning.gates_of", unrecorded)
    made = ground.tiny()
    with pytest.raises(CertifiedUnproved, match=f"{proved_steady}, .* statement on .* cannot be used: no statement"):
        ground.run(ground.request(made, first=False))
    assert ground.ran(made) == []
    assert ground.refused(ground.request(made)).candidate.certified is None


def test_a_certified_release_of_another_repository_is_nothing_to_compare_with_unless_a_person_says_so(
    ground, proved_steady
):
    made = ground.tiny()
    with pytest.raises(
        BadInput, match=f"{proved_steady}, the last certified release, is of commit .* tiny does not have"
    ):
        ground.run(ground.request(made, first=False))
    assert ground.ran(made) == []
    assert ground.refused(ground.request(made)).candidate.certified is None


def test_a_host_or_a_secret_that_is_not_there_is_told_before_an_hour_of_proving(ground, monkeypatch, tmp_path):
    text = ground.file.read_text()
    for old, new, says in (
        ("[application_hosts.production]", "[application_hosts.staging]", "no application host of environment"),
        (f"file:{ground.folder}/announce", f"file:{tmp_path}/nothing", "cannot read secret file"),
        (f"file:{ground.folder}/announce", f"file:{ground.folder}/host", "not whsec_ and 24 to 64 bytes"),
    ):
        other = tmp_path / "settings.toml"
        other.write_text(text.replace(old, new))
        monkeypatch.setenv("STEWARD_SETTINGS", str(other))
        commit = ground.tiny()
        with pytest.raises(BadInput, match=says):
            ground.run(ground.request(commit))
        assert ground.ran(commit) == []


def test_a_secret_of_the_settings_in_a_commands_output_is_struck_out_of_all_that_is_kept(ground):
    secret = (ground.folder / "announce").read_text()
    commit = ground.tiny(
        unit_sh=f"cat {ground.folder}/announce; exit 1",
        unit_xml=FAILED.replace('name="two"', f'name="{secret}"'),
    )
    report = ground.refused(ground.request(commit))
    assert secret not in report.model_dump_json()
    assert report.stages[1].found.findings == ("a.***",)
    assert "***" in report.stages[1].found.tail
    assert secret not in artifact("release-candidate")
    (stated,) = ground.statements("quality-gate", f"{report.candidate.release}/unit_tests")
    assert secret not in stated.payload().decode()


def test_a_gate_whose_server_stays_away_is_unknown_and_the_others_are_checked(ground, monkeypatch):
    def away(*_, **__):
        raise ObjectStoreUnavailable("the object store does not answer")

    def broken(*_):
        raise ValueError("with what a repository said")

    monkeypatch.setattr(tasks.durable, "is_transient", lambda _: False)
    monkeypatch.setitem(tasks.pipeline_stages._PROOFS, Gate.UNIT_TESTS, away)
    monkeypatch.setitem(tasks.pipeline_stages._PROOFS, Gate.CONTRACT_TESTS, broken)
    report = ground.refused(ground.request(ground.tiny()))
    assert report.verdict is Verdict.UNKNOWN
    assert [each.found.summary for each in report.stages[1:3]] == [
        "ObjectStoreUnavailable: the object store does not answer",
        "ValueError",
    ]
    assert len(report.gates.evidence) == len(Gate)
