"""What a run of tests comes to."""

import pytest

from steward.pipeline.tests_found import assess_tests, read_junit
from steward.verdicts import Verdict

GREEN = b'<testsuites><testsuite><testcase classname="a" name="one"/><testcase name="two"/></testsuite></testsuites>'
RED = b"""<testsuite failures="0"><testcase classname="a.B" name="one"><failure message="m">t</failure></testcase>
<testcase name="two"><error/></testcase><testcase name="three"><skipped/></testcase><testcase name="four"/></testsuite>"""
NONE = b"<testsuites><testsuite/></testsuites>"
SKIPPED = b'<testsuite><testcase name="one"><skipped/></testcase></testsuite>'
BOMB = b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><testsuite><testcase name="&c;"/></testsuite>'


def assessed(xml, *, is_green=True, has_ended=True):
    counted = read_junit(xml) if xml is not None else None
    return assess_tests("pytest ended with 0", is_green=is_green, has_ended=has_ended, counted=counted, tail="the end")


def test_tests_that_passed_are_verified_with_their_number():
    found = assessed(GREEN)
    assert (found.verdict, found.summary, found.figures["tests"]) == (Verdict.VERIFIED, "2 of 2 tests passed", 2)


def test_each_that_failed_is_named_whatever_the_files_own_sums_say():
    found = assessed(RED, is_green=False)
    assert (found.verdict, found.findings) == (Verdict.REFUTED, ("a.B.one", "two"))
    assert found.summary == "1 of 4 tests passed, 1 failed, 1 with errors, 1 skipped"
    assert found.tail == "the end"


def test_a_failure_refutes_a_program_that_claims_to_be_green():
    assert assessed(RED).verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("xml", "ended"),
    [
        (None, {}),
        (b"<html/>", {}),
        (b"not xml", {}),
        (BOMB, {}),
        (NONE, {}),
        (SKIPPED, {}),
        (GREEN, {"is_green": False}),
        (GREEN, {"is_green": False, "has_ended": False}),
        (RED, {"is_green": False, "has_ended": False}),
    ],
    ids=["no file", "other XML", "no XML", "entities", "no test", "all skipped", "ended ill", "killed", "killed red"],
)
def test_without_a_test_that_passed_and_a_program_that_ended_well_nobody_knows(xml, ended):
    assert assessed(xml, **ended).verdict is Verdict.UNKNOWN
