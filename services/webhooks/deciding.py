"""Whether a run that waits at GitHub may deploy: the evidence of its release decides, and nobody's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steward.clients.github_protection import Review
from steward.clients.postgres import Connection, worded
from steward.rollout.gates import GatesNeeded, GatesReport, assess_gates
from steward.settings import Settings
from steward.verdicts import Verdict
from tasks.rollout_gates import gates_of

_SECONDS_A_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What GitHub is told."""

    state: Review
    comment: str


def answer_of(db: Connection, settings: Settings, asked: Mapping[str, Any], age_seconds: float) -> Answer | str:
    """What the evidence comes to now; a string: what is still waited for.

    Raises what reading the evidence raises, in words.
    """
    release = str(asked["release"])
    # A savepoint: what fails here must leave a transaction in which that can be said.
    with worded(settings), db.transaction():
        had = gates_of(db, settings, release)
    return judge(assess_gates(GatesNeeded(), had, release, datetime.now(UTC)), asked["wait_minutes"], age_seconds)


def judge(report: GatesReport, wait_minutes: float, age_seconds: float) -> Answer | str:
    """VERIFIED is approved, REFUTED rejected at once; UNKNOWN is never green: waited for, then rejected."""
    against = "; ".join(f"{each.gate} {each.verdict}: {each.says}" for each in report.against)
    match report.verdict:
        case Verdict.VERIFIED:
            return Answer("approved", f"every quality gate of release {report.release} is VERIFIED")
        case Verdict.REFUTED:
            return Answer("rejected", f"release {report.release}: {against}")
        case _ if age_seconds >= wait_minutes * _SECONDS_A_MINUTE:
            return Answer(
                "rejected", f"no proof of release {report.release} within {wait_minutes:g} minutes: {against}"
            )
        case _:
            return f"waits for proof of release {report.release}: {against}"
