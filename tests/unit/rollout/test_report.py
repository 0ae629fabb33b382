"""What a rollout states and shows of itself, as an auditor and an operator read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from steward.rollout.analysis import StepAnalysis, VariantUsers
from steward.rollout.gates import GatesNeeded, GatesReport
from steward.rollout.intervals import Arm, compare_arms
from steward.rollout.page import render_rollout
from steward.rollout.plan import Plan
from steward.rollout.preconditions import Preconditions
from steward.rollout.report import Cause, Ending, RolloutReport, StepOutcome, verdict_on
from steward.rollout.request import RolloutRequest
from steward.verdicts import Verdict
from tasks.rollout_publishing import rollout_statement

BEGAN = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)
HARM = "error: 8 of 82 exposed users, 16 of 1,419 others | 8.7 times as many"


def at(seconds):
    return BEGAN + timedelta(seconds=seconds)


def outcome(**fields):
    said = {"step": 1, "exposure": 5, "begun_at": at(10), "ended_at": at(60), "looks": 12, "reasons": (HARM,)}
    return StepOutcome(**{**said, "passed": True, "proved": True, "judgement": {"decision": "GO"}, **fields})


def report(*steps, cause=None, why="", **fields):
    gates = GatesReport(release="shop-2", verdict=Verdict.VERIFIED, findings=())
    found = Preconditions(
        colour="green",
        previous_colour="blue",
        previous_release="shop-1",
        variant="on",
        slow_ms=25.0,
        gates=gates,
        agreement="Python's and Node's SDK agree",
    )
    ending = Ending(rollout=7, preconditions=found, steps=steps, cause=cause, why=why)
    request = RolloutRequest(
        release="shop-2", flag="new-search", gates=GatesNeeded(gates=()), plan=Plan(), because="ticket 1234"
    )
    made = {
        "request": request,
        "period": "shop-2/run",
        "attempt": 1,
        "verdict": verdict_on(ending),
        "rollout": 7,
        "colour": "green",
        "previous_colour": "blue",
        "previous_release": "shop-1",
        "certified": cause is None,
        "ending": ending,
        "said": (),
        "preconditions": found,
        "analysis": (),
        "withdrawn_seconds": None,
        "begun_at": BEGAN,
        "exposed_at": at(10),
        "closed_at": at(200),
        "ended_at": at(205),
        "code": {"version": "0.1.0", "commit": None, "modified": None},
    }
    return RolloutReport(**{**made, **fields})


def taken_back():
    stopped = outcome(passed=False, proved=False, cause=Cause.HARM)
    return report(
        stopped,
        cause=Cause.HARM,
        why=HARM,
        withdrawn_seconds=0.12,
        withdrawn_at=at(60),
        withdrawn_by="production-rollout",
        closed_at=at(60.12),
    )


def test_the_statement_says_what_went_where_in_place_of_what_and_on_whose_demand():
    figures = rollout_statement(report(outcome())).figures
    assert {
        name: figures[name] for name in ("release", "colour", "previous_release", "previous_colour", "variant")
    } == {
        "release": "shop-2",
        "colour": "green",
        "previous_release": "shop-1",
        "previous_colour": "blue",
        "variant": "on",
    }
    assert figures["because"] == "ticket 1234"
    assert figures["gates_asked_for"] == []


def test_the_statement_of_one_that_was_taken_back_says_who_did_so_when_and_why():
    statement = rollout_statement(taken_back())
    assert statement.verdict is Verdict.REFUTED
    assert statement.figures["cause"] == "harm"
    assert statement.figures["why"] == HARM
    assert statement.figures["withdrawn_by"] == "production-rollout"
    assert statement.figures["withdrawn_milliseconds"] == 120
    assert statement.figures["times"] == {
        "began": "2026-11-26T19:00:00+00:00",
        "exposed": "2026-11-26T19:00:10+00:00",
        "withdrawn": "2026-11-26T19:01:00+00:00",
        "closed": "2026-11-26T19:01:00.120000+00:00",
    }
    assert statement.findings[0] == f"harm: {HARM}"


def test_the_same_report_read_back_states_the_same():
    first = taken_back()
    again = RolloutReport.model_validate(json.loads(first.model_dump_json()))
    assert rollout_statement(again) == rollout_statement(first)


def test_a_report_that_an_older_version_kept_can_still_be_stated():
    kept = report(outcome()).model_dump(mode="json")
    for name in ("withdrawn_at", "withdrawn_by", "closed_at"):
        del kept[name]
    assert rollout_statement(RolloutReport.model_validate(kept)).figures["times"]["closed"] is None


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (
            lambda: report(outcome()),
            [
                "# shop-2 in production: certified, everybody has it",
                "began 2026-11-26 19:00:00, first users 2026-11-26 19:00:10, certified 2026-11-26 19:03:20 UTC.",
                "Because: ticket 1234",
                "- no quality gate was asked for",
            ],
        ),
        (
            taken_back,
            [
                "# shop-2 in production: rolled back in 0.1 s",
                (
                    "began 2026-11-26 19:00:00, first users 2026-11-26 19:00:10, "
                    "taken back by production-rollout 2026-11-26 19:01:00, traffic back 2026-11-26 19:01:00 UTC."
                ),
            ],
        ),
    ],
)
def test_the_page_says_how_it_ended_and_when(made, lines):
    page = render_rollout(made()).splitlines()
    assert [line for line in lines if line not in page] == []


def test_no_reason_breaks_the_pages_table():
    (row,) = [line for line in render_rollout(taken_back()).splitlines() if line.startswith("| 5 % ")]
    assert row.count("|") - row.count("\\|") == 6


def test_the_difference_stands_in_the_line_of_those_who_were_exposed():
    users = {"off": VariantUsers(users=950, outcomes={"error": 9}), "on": VariantUsers(users=50, outcomes={"error": 5})}
    compared = {"error": compare_arms(Arm(50, 5), Arm(950, 9))}
    analysed = StepAnalysis(step=1, exposure=5, variants=users, compared=compared)
    rows = [
        line for line in render_rollout(report(outcome(), analysis=(analysed,))).splitlines() if "| error |" in line
    ]
    assert [row.split("|")[3:6] for row in rows] == [
        [" on ", " 50 ", " 5 (10.00 %) "],
        [" off ", " 950 ", " 9 (0.95 %) "],
    ]
    assert "+9.05 points" in rows[0]
    assert "points" not in rows[1]
