"""Whether a run that waits at GitHub may deploy is its evidence's to say: missing evidence is waited for, and never green."""

from datetime import UTC, datetime

import pytest

from services.webhooks.deciding import Answer, judge
from steward.rollout.gates import Gate, GateEvidence, GatesNeeded, QualityGates, assess_gates
from steward.verdicts import Verdict


def gates(release, **verdicts):
    """Of *release*, now; VERIFIED where *verdicts* say nothing else."""
    evidence = tuple(
        GateEvidence(
            gate=gate,
            release=release,
            verdict=verdicts.get(gate, Verdict.VERIFIED),
            at=datetime.now(UTC),
            statement="0" * 64,
            summary="12 tests",
            seconds=1,
        )
        for gate in Gate
    )
    return QualityGates(release=release, commit="0" * 40, evidence=evidence)


def judged(age_minutes=0.0, **verdicts):
    report = assess_gates(GatesNeeded(), gates("v2", **verdicts), "v2", datetime.now(UTC))
    return judge(report, 60, age_minutes * 60)


def test_verified_is_approved():
    assert judged() == Answer("approved", "every quality gate of release v2 is VERIFIED")


@pytest.mark.parametrize("age", [0, 100])
def test_refuted_is_rejected_at_once_with_the_gate(age):
    assert judged(age, security=Verdict.REFUTED) == Answer("rejected", "release v2: security REFUTED: 12 tests")


def test_unknown_is_waited_for():
    assert judged(59.9, build=Verdict.UNKNOWN) == "waits for proof of release v2: build UNKNOWN: 12 tests"


def test_unknown_is_rejected_once_it_was_waited_for():
    assert judged(60, build=Verdict.UNKNOWN) == Answer(
        "rejected", "no proof of release v2 within 60 minutes: build UNKNOWN: 12 tests"
    )
