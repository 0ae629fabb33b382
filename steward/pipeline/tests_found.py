"""What a run of tests comes to, by the JUnit XML that it left behind and the way its program ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic import JsonValue

from steward.pipeline.stage import StageFound, short
from steward.pipeline.tests_bounds import MOST_SUITES, TestsBefore, lost_suites, too_few
from steward.settings import SuiteBounds
from steward.verdicts import Verdict

#: Of a name that a statement keeps.
_SUITE_CHARACTERS = 200


@dataclass(frozen=True)
class TestsCounted:
    """Of a JUnit file: a test that has an error is not counted as a failure as well."""

    # Not a class of tests, for all its name.
    __test__ = False

    tests: int
    failures: int
    errors: int
    skipped: int
    first: tuple[str, ...]
    """Names of those that failed, in the file's order."""
    left_out: tuple[str, ...]
    """Names of those that were skipped."""
    suites: Mapping[str, int]
    """How many passed, by `classname`: pytest's file or class. None of a file that names too many."""

    @property
    def bad(self) -> int:
        return self.failures + self.errors

    @property
    def passed(self) -> int:
        return self.tests - self.bad - self.skipped

    def __str__(self) -> str:
        told = f"{self.passed:,} of {self.tests:,} tests passed"
        more = [(self.failures, "failed"), (self.errors, "with errors"), (self.skipped, "skipped")]
        return ", ".join([told, *(f"{count:,} {word}" for count, word in more if count)])


def read_junit(xml: bytes) -> TestsCounted | None:
    """Each `testcase` by what stands in it, whatever the file's own sums say; None: it is no JUnit XML."""
    try:
        root: Element = fromstring(xml)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    if root.tag not in {"testsuites", "testsuite"}:
        return None
    cases = [(case, _kind(case)) for case in root.iter("testcase")]
    count = Counter(kind for _, kind in cases)
    suites = Counter(short(case.get("classname", ""), _SUITE_CHARACTERS) for case, kind in cases if kind == "passed")
    return TestsCounted(
        tests=len(cases),
        failures=count["failure"],
        errors=count["error"],
        skipped=count["skipped"],
        first=tuple(_name(case) for case, kind in cases if kind in {"failure", "error"}),
        left_out=tuple(_name(case) for case, kind in cases if kind == "skipped"),
        suites=dict(suites) if len(suites) <= MOST_SUITES else {},
    )


@dataclass(frozen=True)
class Expected:
    """How much of a suite has to have passed."""

    bounds: SuiteBounds
    where: str
    """The settings' table that the bounds stand in."""
    before: TestsBefore | None = None


def assess_tests(
    how: str, expected: Expected, *, is_green: bool, has_ended: bool, counted: TestsCounted | None, tail: str
) -> StageFound:
    """VERIFIED: it ended well, and as many passed as are expected; REFUTED: one failed. Whatever else it is, nobody knows.

    A program that ends ill with no test failed has not come to all of them; nor has one that was ended. What was skipped,
    or is not there any more, nobody has checked.
    """
    if counted is None:
        return StageFound.of(Verdict.UNKNOWN, f"{how}, and left no JUnit XML behind", tail=tail)
    figures = _figures(counted, expected)
    if counted.bad and has_ended:
        return StageFound.of(Verdict.REFUTED, str(counted), figures=figures, findings=counted.first, tail=tail)
    if not is_green:
        return StageFound.of(Verdict.UNKNOWN, f"{how}; {counted}", figures=figures, findings=counted.first, tail=tail)
    return _enough(counted, expected, figures, tail)


def _enough(counted: TestsCounted, expected: Expected, figures: dict[str, JsonValue], tail: str) -> StageFound:
    bounds, before = expected.bounds, expected.before
    lost = lost_suites(counted.passed, counted.suites, before)
    if not counted.passed:
        return StageFound.of(Verdict.UNKNOWN, f"no test was run: {counted}", figures=figures, tail=tail)
    if reasons := list(too_few(counted.passed, counted.skipped, bounds, before, expected.where)):
        findings = [*lost, *(f"skipped: {name}" for name in counted.left_out)]
        summary = "; ".join([str(counted), *reasons])
        return StageFound.of(Verdict.UNKNOWN, summary, figures=figures, findings=findings, tail=tail)
    return StageFound.of(Verdict.VERIFIED, "; fewer in ".join([str(counted), *lost]), figures=figures)


def _figures(counted: TestsCounted, expected: Expected) -> dict[str, JsonValue]:
    return {
        "tests": counted.tests,
        "passed": counted.passed,
        "failures": counted.failures,
        "errors": counted.errors,
        "skipped": counted.skipped,
        "suites": {**counted.suites},
        "expected": expected.bounds.model_dump(mode="json"),
        "passed_before": expected.before.passed if expected.before else None,
    }


def _kind(case: Element) -> str:
    return next((child.tag for child in case if child.tag in {"failure", "error", "skipped"}), "passed")


def _name(case: Element) -> str:
    where, name = case.get("classname", ""), case.get("name", "")
    return f"{where}.{name}" if where else name or "(a test without a name)"
