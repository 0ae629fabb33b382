"""What a candidate comes to, as it is told."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from demo.shop.repository import FILES
from steward.pipeline.manifest import read_manifest
from steward.pipeline.page import render_candidate
from steward.pipeline.report import (
    CandidateReport,
    StageRun,
    announcement,
    announcement_id,
    figures_of,
    gates_of_stages,
    not_verified,
    verdict_on,
)
from steward.pipeline.request import GATES, Artifact, Candidate, CandidateRequest
from steward.pipeline.stage import StageFound
from steward.rollout.gates import Gate, GateEvidence, GatesNeeded, assess_gates
from steward.verdicts import Verdict

COMMIT, NOW = "0123456789abcdef0123456789abcdef01234567", datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)
REQUEST = CandidateRequest(repository="shop", commit=COMMIT, ref="refs/heads/main", because="a ticket")
CANDIDATE = Candidate(
    request=REQUEST,
    release=REQUEST.name,
    commit=COMMIT,
    tree="b" * 40,
    environment="production",
    flag="new-search",
    manifest=read_manifest((FILES / "pipeline.toml").read_bytes()),
    certified=None,
    begun_at=NOW,
)


def report(**verdicts: Verdict) -> CandidateReport:
    stages = tuple(stage(gate, verdicts.get(gate, Verdict.VERIFIED)) for gate in GATES)
    evidence = tuple(evidence_of(each) for each in stages)
    return CandidateReport(
        candidate=CANDIDATE,
        period="p",
        attempt=1,
        verdict=verdict_on(evidence),
        stages=stages,
        gates=gates_of_stages(CANDIDATE, evidence),
        artifact=Artifact(file="build/release.toml", sha256="a" * 64, bytes=200),
        ended_at=NOW,
        code={},
        host="h",
    )


def stage(gate: Gate, verdict: Verdict) -> StageRun:
    found = StageFound.of(verdict, f"{gate} [x](http://y) | z", findings=["*one*"], tail="```\nlast")
    return StageRun(gate=gate, found=found, started=NOW, finished=NOW + timedelta(seconds=2), attempt=1)


def evidence_of(run: StageRun) -> GateEvidence:
    return GateEvidence(
        gate=run.gate,
        release=CANDIDATE.release,
        verdict=run.found.verdict,
        at=NOW,
        statement="c" * 64,
        summary=run.found.summary,
        seconds=2,
    )


def test_a_release_is_called_by_the_first_digits_of_its_commit_unless_it_has_a_name():
    assert (REQUEST.name, REQUEST.model_copy(update={"release": "v2"}).name) == ("0123456789ab", "v2")


def test_it_is_verified_only_where_every_gate_is():
    assert report().verdict is Verdict.VERIFIED
    assert report(unit_tests=Verdict.REFUTED, security=Verdict.UNKNOWN).verdict is Verdict.REFUTED
    assert report(security=Verdict.UNKNOWN).verdict is Verdict.UNKNOWN
    assert verdict_on(report().gates.evidence[1:]) is Verdict.UNKNOWN
    assert verdict_on(()) is Verdict.UNKNOWN


def test_a_rollout_reads_its_gates_as_they_stand_in_the_statement():
    whole = report()
    gates = type(whole.gates).model_validate(json.loads(json.dumps(figures_of(whole)))["quality_gates"])
    assert assess_gates(GatesNeeded(), gates, CANDIDATE.release, NOW).verdict is Verdict.VERIFIED


def test_each_gate_that_stands_against_it_is_named():
    error = not_verified(report(unit_tests=Verdict.REFUTED, security=Verdict.UNKNOWN))
    assert "unit_tests: REFUTED" in error.message
    assert "security: UNKNOWN" in error.message
    assert "build" not in error.message


def test_its_announcement_is_the_same_whenever_it_is_sent_and_known_by_release_and_commit():
    whole = report()
    assert announcement(whole, "d" * 64) == announcement(whole, "d" * 64)
    assert announcement_id(whole) == f"0123456789ab/{COMMIT}"
    told = announcement(whole, "d" * 64)
    assert told["type"] == "release.candidate"
    assert datetime.fromisoformat(told["timestamp"]) == NOW
    assert told["data"] == {
        "release": "0123456789ab",
        "commit": COMMIT,
        "ref": "refs/heads/main",
        "repository": "shop",
        "environment": "production",
        "flag": "new-search",
        "because": "a ticket",
        "artifact": "a" * 64,
        "statement": "d" * 64,
    }


def test_its_page_obeys_nothing_that_a_repository_says():
    page = render_candidate(report(unit_tests=Verdict.REFUTED))
    assert page.startswith("# Release 0123456789ab: REFUTED\n")
    assert r"\[x\](http://y) \| z" in page
    assert "[x](http" not in page
    # Not right below the list, where its indentation would make it part of the last item.
    assert "- \\*one\\*\n\nWhat its program said last:\n\n    ```\n    last" in page
    assert "Nothing was handed over" in page
    assert "There is no certified release" in page
    assert "Nothing was handed over" not in render_candidate(report())


@pytest.mark.parametrize("wrong", [{"commit": "abc"}, {"repository": "../x"}, {"release": "A b"}, {"more": 1}])
def test_a_request_that_means_nothing_is_refused_by_the_form(wrong):
    with pytest.raises(ValueError, match="validation error"):
        CandidateRequest(**{"repository": "shop", "commit": COMMIT, **wrong})
