"""Clean ground is VERIFIED in every check; with a source away the whole is UNKNOWN, and the others are looked at."""

from __future__ import annotations

import pytest

from steward.keys.audit_facts import Unread
from steward.keys.audit_report import WRAPS
from steward.verdicts import Verdict

pytestmark = pytest.mark.without_search


def test_clean_ground_is_verified_in_every_check(shared):
    judged = shared.judged()
    assert judged.findings == ()
    assert judged.verdict is Verdict.VERIFIED
    assert [check.verdict for check in judged.checks] == [Verdict.VERIFIED] * 7
    assert judged.not_asked == ()


def test_a_source_that_is_away_leaves_the_whole_unknown_and_the_others_looked_at(shared):
    away = Unread(source="vault", reason="vault is silent", hint="see whether it runs")
    judged = shared.judged(vault=away)
    assert judged.verdict is Verdict.UNKNOWN
    assert [each.id for each in judged.findings] == ["unread:vault"]
    assert {check.name for check in judged.checks if check.verdict is Verdict.UNKNOWN} == {
        "keys and secrets of the vault",
        WRAPS,
    }
