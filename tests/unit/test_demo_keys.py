"""What the demo of a rotation makes of what it saw."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from demo.commands import Shell
from demo.customers.checking import Checked, Fault
from demo.keys import Watched, overall, shown, told
from demo.stage import Stage
from steward.settings import Settings
from steward.verdicts import Verdict

FAULT = Fault("customer-0001", uuid4(), "CiphertextTampered")


def seen(failed=0):
    return {
        "requests": 1200,
        "failed": failed,
        "failures": {"503 Service Unavailable": failed} if failed else {},
        "milliseconds": {"all": {"count": 1200, "p50": 7.0, "p95": 12.0, "p99": 20.04}},
    }


def watched(*, failed_before=0, failed=0, **found):
    return Watched(seen(failed_before), seen(failed), 250, Checked(300, 290, **found))


def test_what_users_saw_is_told_in_a_few_lines():
    assert list(told(watched(failed=3, unreadable=[FAULT]))) == [
        "users before the rotation: 1,200 requests, 0 failed, p50 7.0 ms, p95 12.0 ms, p99 20.0 ms",
        "users while it ran: 1,200 requests, 3 failed, p50 7.0 ms, p95 12.0 ms, p99 20.0 ms",
        "  failed: 503 Service Unavailable: 3",
        (
            "writes acknowledged while it ran: 250; of all 300, read back from 290 rows: 0 lost, 1 unreadable, "
            "0 not found by their index"
        ),
    ]


@pytest.mark.parametrize(
    "fault", [{"failed": 1}, {"failed_before": 1}, {"lost": [FAULT]}, {"unreadable": [FAULT]}, {"unfound": [FAULT]}]
)
def test_a_failed_request_or_a_write_that_is_not_as_acknowledged_is_a_fault(fault):
    assert watched().faultless
    assert not watched(**fault).faultless


def test_a_certificate_alone_does_not_make_it_verified():
    assert overall(Verdict.VERIFIED, [True, True]) is Verdict.VERIFIED
    assert overall(Verdict.VERIFIED, [True, False]) is Verdict.REFUTED
    for certified in (Verdict.REFUTED, Verdict.UNKNOWN):
        assert overall(certified, [True]) is certified
        assert overall(certified, [False]) is certified


@pytest.mark.parametrize(("code", "succeeded"), [(0, True), (3, False)])
def test_a_command_is_shown_and_its_failure_is_no_end_of_the_demo(tmp_path, capsys, code, succeeded):
    (tmp_path / "speaking.py").write_text(f"print('a line'); raise SystemExit({code})")
    stage = Stage(Shell(tmp_path, {}, tmp_path), Settings.model_construct(), Path("environment"))
    assert shown(stage, "vault", "speaking") is succeeded
    assert "vault: a line" in capsys.readouterr().out
