"""What a run of tests comes to, by the JUnit XML that it left behind and the way its program ended."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from steward.pipeline.stage import StageFound
from steward.verdicts import Verdict


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
    cases = list(root.iter("testcase"))
    kinds = [_kind(case) for case in cases]
    bad = [_name(case) for case, kind in zip(cases, kinds, strict=True) if kind in {"failure", "error"}]
    return TestsCounted(len(cases), kinds.count("failure"), kinds.count("error"), kinds.count("skipped"), tuple(bad))


def assess_tests(how: str, *, is_green: bool, has_ended: bool, counted: TestsCounted | None, tail: str) -> StageFound:
    """VERIFIED: it ended well, and at least one test passed; REFUTED: one failed. Whatever else it is, nobody knows.

    A program that ends ill with no test failed has not come to all of them; nor has one that was ended.
    """
    if counted is None:
        return StageFound.of(Verdict.UNKNOWN, f"{how}, and left no JUnit XML behind", tail=tail)
    figures = {
        "tests": counted.tests,
        "failures": counted.failures,
        "errors": counted.errors,
        "skipped": counted.skipped,
    }
    if counted.bad and has_ended:
        return StageFound.of(Verdict.REFUTED, str(counted), figures={**figures}, findings=counted.first, tail=tail)
    if not is_green:
        return StageFound.of(
            Verdict.UNKNOWN, f"{how}; {counted}", figures={**figures}, findings=counted.first, tail=tail
        )
    if not counted.passed:
        return StageFound.of(Verdict.UNKNOWN, f"no test was run: {counted}", figures={**figures}, tail=tail)
    return StageFound.of(Verdict.VERIFIED, str(counted), figures={**figures})


def _kind(case: Element) -> str:
    return next((child.tag for child in case if child.tag in {"failure", "error", "skipped"}), "passed")


def _name(case: Element) -> str:
    where, name = case.get("classname", ""), case.get("name", "")
    return f"{where}.{name}" if where else name or "(a test without a name)"
