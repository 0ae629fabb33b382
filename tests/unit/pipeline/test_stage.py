"""What a stage found is bounded, and obeyed by no terminal."""

from steward.pipeline.stage import FINDING_CHARACTERS, MOST_FINDINGS, SUMMARY_CHARACTERS, TAIL_CHARACTERS, StageFound
from steward.verdicts import Verdict


def test_whatever_is_too_long_is_cut_and_seen_to_be():
    found = StageFound.of(
        Verdict.REFUTED, "s" * 600, findings=["f" * 600, *(str(each) for each in range(99))], tail="t" * 9000 + "end"
    )
    assert (len(found.summary), found.summary[-1]) == (SUMMARY_CHARACTERS, "…")
    assert (len(found.findings), found.findings[-1]) == (MOST_FINDINGS, "and 51 more")
    assert len(found.findings[0]) == FINDING_CHARACTERS
    assert (len(found.tail), found.tail[-3:]) == (TAIL_CHARACTERS, "end")


def test_control_characters_are_taken_out_and_lines_stay():
    found = StageFound.of(Verdict.UNKNOWN, "a\x1b[2Jb\nc", tail="one\x00\x1b]0;x\x07\u202e\ntwo\tthree")
    assert (found.summary, found.tail) == ("a[2Jb c", "one]0;x\ntwo\tthree")


def test_a_summary_of_nothing_says_so():
    assert StageFound.of(Verdict.UNKNOWN, " \x00 ").summary == "(nothing said)"
