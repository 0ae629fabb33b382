"""Quality gates: a release goes out on evidence of its own, fresh and VERIFIED, for each gate that is needed."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from steward.rollout.gates import Gate, GateEvidence, GatesNeeded, QualityGates, assess_gates
from steward.verdicts import Verdict

NOW = datetime(2025, 7, 31, 2, tzinfo=UTC)
NEEDED = GatesNeeded()


def evidence(gate, verdict=Verdict.VERIFIED, *, release="1.4.0", age=timedelta(hours=1)):
    return GateEvidence(
        gate=gate,
        release=release,
        verdict=verdict,
        at=NOW - age,
        statement="ab" * 32,
        summary="312 tests, none failed",
        seconds=41.5,
    )


def gates(*found, release="1.4.0"):
    return QualityGates(release=release, commit="a" * 40, evidence=found)


def whole(**changed):
    return [evidence(gate, **changed.get(gate.value, {})) for gate in Gate]


def assess(had, needed=NEEDED):
    return assess_gates(needed, had, "1.4.0", NOW)


def test_evidence_of_every_gate_lets_a_rollout_begin():
    report = assess(gates(*whole()))
    assert report.verdict is Verdict.VERIFIED
    assert not report.against
    assert {each.gate for each in report.findings} == set(Gate)


@pytest.mark.parametrize("gate", list(Gate))
def test_a_gate_without_evidence_is_unknown(gate):
    report = assess(gates(*(each for each in whole() if each.gate is not gate)))
    assert report.verdict is Verdict.UNKNOWN
    assert [each.says for each in report.against] == [f"no evidence of {gate} for release 1.4.0"]


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"verdict": Verdict.REFUTED}, Verdict.REFUTED),
        ({"verdict": Verdict.UNKNOWN}, Verdict.UNKNOWN),
        ({"release": "1.3.9"}, Verdict.UNKNOWN),
        ({"age": timedelta(days=15)}, Verdict.UNKNOWN),
        ({"age": timedelta(minutes=-5)}, Verdict.UNKNOWN),
        ({"age": timedelta(days=15), "verdict": Verdict.REFUTED}, Verdict.REFUTED),
    ],
)
def test_evidence_that_does_not_speak_for_it_now_does_not_count(changed, verdict):
    assert assess(gates(*whole(security=changed))).verdict is verdict


def test_the_newest_evidence_counts():
    found = [*whole(security={"verdict": Verdict.REFUTED, "age": timedelta(hours=2)}), evidence(Gate.SECURITY)]
    assert assess(gates(*found)).verdict is Verdict.VERIFIED
    assert assess(gates(*whole(), evidence(Gate.BUILD, Verdict.REFUTED, age=timedelta(0)))).verdict is Verdict.REFUTED


def test_no_evidence_at_all_and_evidence_of_another_release_are_unknown():
    assert assess(None).verdict is Verdict.UNKNOWN
    assert assess(gates(*whole(), release="1.3.9")).verdict is Verdict.UNKNOWN


def test_only_what_is_needed_is_looked_at():
    needed = GatesNeeded(gates=(Gate.BUILD,))
    assert assess(gates(*whole(security={"verdict": Verdict.REFUTED})), needed).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    "changed",
    [
        {"gate": "vibes"},
        {"statement": "ab"},
        {"at": "2025-07-31T02:00:00"},
        {"summary": ""},
        {"seconds": float("nan")},
        {"extra": 1},
    ],
)
def test_evidence_that_breaks_the_schema_is_refused(changed):
    with pytest.raises(ValidationError):
        GateEvidence.model_validate(evidence(Gate.BUILD).model_dump() | changed)
