"""The gates of unit and contract tests: the repository's own command, and the JUnit XML that it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from steward.pipeline.manifest import Tests
from steward.pipeline.request import Candidate
from steward.pipeline.stage import StageFound
from steward.pipeline.tests_found import Expected, TestsCounted, assess_tests, read_junit
from steward.rollout.gates import Gate
from steward.settings import Settings
from steward.verdicts import Verdict
from tasks.pipeline_build import artifacts, built
from tasks.pipeline_workspace import Workspace

#: Of a JUnit file; thousands of tests with their output.
_MOST_BYTES = 64 * 1024**2


def prove_unit_tests(work: Workspace, candidate: Candidate, settings: Settings) -> StageFound:
    """`[unit_tests]` of the candidate's pipeline.toml."""
    return _run(work, candidate, candidate.manifest.unit_tests, _expected(work, candidate, Gate.UNIT_TESTS))


def prove_contract_tests(work: Workspace, candidate: Candidate, settings: Settings) -> StageFound:
    """`[contract_tests]` of the candidate's pipeline.toml."""
    return _run(work, candidate, candidate.manifest.contract_tests, _expected(work, candidate, Gate.CONTRACT_TESTS))


def _run(work: Workspace, candidate: Candidate, told: Tests | None, expected: Expected) -> StageFound:
    """Never run twice to see whether they are green now: a test that fails has failed."""
    if told is None:
        return StageFound.of(Verdict.UNKNOWN, "pipeline.toml has no table of these tests: nothing was proved")
    folder = built(work, candidate.commit, candidate.manifest.build)
    # One that an earlier attempt, or the commit itself, left there says nothing of this run.
    (folder / told.junit).unlink(missing_ok=True)
    ran = work.run(told.command, folder, told.seconds, {"COMMIT": candidate.commit})
    return assess_tests(
        ran.how,
        expected,
        is_green=ran.is_green,
        has_ended=ran.end == "exited",
        counted=_counted(folder, told.junit),
        tail=ran.tail,
    )


def _expected(work: Workspace, candidate: Candidate, gate: Literal[Gate.UNIT_TESTS, Gate.CONTRACT_TESTS]) -> Expected:
    told, certified = work.repository.told, candidate.certified
    return Expected(
        bounds=told.unit_tests if gate is Gate.UNIT_TESTS else told.contract_tests,
        where=f"[pipeline.repositories.{candidate.request.repository}.{gate}]",
        before=certified.tests.get(gate) if certified else None,
    )


def _counted(folder: Path, junit: str) -> TestsCounted | None:
    found = artifacts(folder, junit)
    if len(found) != 1 or found[0].stat().st_size > _MOST_BYTES:
        return None
    return read_junit(found[0].read_bytes())
