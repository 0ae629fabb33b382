"""What a run of tests comes to."""

import pytest

from steward.pipeline.tests_bounds import MOST_SUITES, TestsBefore, passed_before
from steward.pipeline.tests_found import Expected, assess_tests, read_junit
from steward.settings import SuiteBounds
from steward.verdicts import Verdict

GREEN = b'<testsuites><testsuite><testcase classname="a" name="one"/><testcase name="two"/></testsuite></testsuites>'
RED = b"""<testsuite failures="0"><testcase classname="a.B" name="one"><failure message="m">t</failure></testcase>
<testcase name="two"><error/></testcase><testcase name="three"><skipped/></testcase><testcase name="four"/></testsuite>"""
NONE = b"<testsuites><testsuite/></testsuites>"
SKIPPED = b'<testsuite><testcase name="one"><skipped/></testcase></testsuite>'
BOMB = b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><testsuite><testcase name="&c;"/></testsuite>'


TABLE = "[pipeline.repositories.shop.unit_tests]"
#: Ten that pass in each of two suites.
BEFORE = TestsBefore(release="v1", passed=20, suites={"a": 10, "b": 10})


def suite(**counts):
    """A green file: of each suite so many that passed, and as many of `skipped`."""
    skipped = counts.pop("skipped", 0)
    cases = [
        f'<testcase classname="{name}" name="t{each}"/>' for name, count in counts.items() for each in range(count)
    ]
    cases += [f'<testcase classname="s" name="t{each}"><skipped/></testcase>' for each in range(skipped)]
    return f"<testsuite>{''.join(cases)}</testsuite>".encode()


def assessed(xml, *, is_green=True, has_ended=True, before=None, **bounds):
    counted = read_junit(xml) if xml is not None else None
    expected = Expected(SuiteBounds(**bounds), TABLE, before)
    return assess_tests(
        "pytest ended with 0", expected, is_green=is_green, has_ended=has_ended, counted=counted, tail="the end"
    )


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


def test_a_skipped_test_was_not_checked_unless_the_settings_say_how_many_may_be():
    found = assessed(suite(a=1, skipped=1))
    assert (found.verdict, found.findings) == (Verdict.UNKNOWN, ("skipped: s.t0",))
    assert found.summary == (
        f"1 of 2 tests passed, 1 skipped; expected at most 0 skipped: run them, or raise most_skipped in {TABLE}"
    )
    assert assessed(suite(a=1, skipped=1), most_skipped=1).verdict is Verdict.VERIFIED
    assert assessed(suite(a=1, skipped=2), most_skipped=1).verdict is Verdict.UNKNOWN


def test_fewer_that_pass_than_the_settings_ask_for_are_a_suite_that_was_not_run():
    found = assessed(suite(a=4), fewest_passed=5)
    assert found.verdict is Verdict.UNKNOWN
    assert "4 of 4 tests passed; expected at least 5 that pass: run the others, or lower fewest_passed" in found.summary
    assert assessed(suite(a=5), fewest_passed=5).verdict is Verdict.VERIFIED


def test_a_suite_that_lost_more_than_its_share_since_the_certified_release_is_named():
    found = assessed(suite(a=10, b=7), before=BEFORE)
    assert (found.verdict, found.findings) == (Verdict.UNKNOWN, ("b: 7 passed, 10 of v1",))
    assert f"20 passed of v1, expected at most 10 % fewer: bring them back, or raise most_lost_percent in {TABLE}" in (
        found.summary
    )
    assert assessed(suite(a=10, b=7), before=BEFORE, most_lost_percent=15).verdict is Verdict.VERIFIED


def test_a_smaller_loss_is_told_of_a_gate_that_is_verified_and_a_suite_that_moved_is_none():
    found = assessed(suite(a=10, b=8), before=BEFORE)
    assert (found.verdict, found.summary) == (
        Verdict.VERIFIED,
        "18 of 18 tests passed; fewer in b: 8 passed, 10 of v1",
    )
    moved = assessed(suite(a=10, c=11), before=BEFORE)
    assert (moved.verdict, moved.summary) == (
        Verdict.VERIFIED,
        "21 of 21 tests passed; fewer in b: 0 passed, 10 of v1",
    )
    assert assessed(suite(a=10, b=11), before=BEFORE).summary == "21 of 21 tests passed"


def test_where_suites_are_too_many_their_sum_alone_is_kept_and_compared():
    many = {f"s{each}": 1 for each in range(MOST_SUITES + 1)}
    found = assessed(suite(**many), before=BEFORE.model_copy(update={"passed": 202}))
    assert (found.verdict, found.figures["suites"]) == (Verdict.VERIFIED, {})
    assert found.summary.endswith("; fewer in all of them: 201 passed, 202 of v1")


def test_a_red_test_refutes_a_suite_that_is_too_small_all_the_same():
    assert assessed(RED, before=BEFORE, fewest_passed=50).verdict is Verdict.REFUTED


def test_what_a_statement_says_is_what_the_next_release_is_compared_with():
    figures = assessed(suite(a=10, b=10)).figures
    assert passed_before("v1", figures) == BEFORE
    # One that was signed before suites were kept.
    assert passed_before("v1", {"tests": 20}) is None
