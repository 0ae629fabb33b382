"""The way back: what is live, where it leads, and what shows that it was gone."""

from datetime import UTC, datetime

import pytest

from steward.rollout.preconditions import NotReady
from steward.rollout.return_report import Proof, RollBackReport, RollBackRequest, render_roll_back
from steward.rollout.returning import NoWayBack, OnColour, Returned, Way, live_of, require_target, way_to
from steward.verdicts import Verdict

AT = datetime(2026, 11, 26, 3, tzinfo=UTC)


def on(colour, release, *, takes=False, healthy=True):
    return OnColour(colour, takes=takes, healthy=healthy, release=release)


def test_what_is_live_is_whatever_takes_requests_and_be_it_ill():
    assert live_of([on("blue", "one"), on("green", "two", takes=True, healthy=False)]).release == "two"


@pytest.mark.parametrize(
    "colours",
    [
        [on("blue", "one"), on("green", "two")],
        [on("blue", "one", takes=True), on("green", "two", takes=True)],
        [on("blue", "one"), on("green", None, takes=True)],
    ],
)
def test_what_is_live_is_not_guessed(colours):
    with pytest.raises(NotReady, match="rollout direct"):
        live_of(colours)


def test_nothing_but_a_certified_release_is_a_way_back():
    with pytest.raises(NoWayBack, match=r"no certified release besides two.*\nHINT: take search from everybody"):
        require_target("production", "two", None, "search")


@pytest.mark.parametrize(
    ("colours", "way"),
    [
        # It runs on the idle colour, and is well.
        ([on("blue", "one"), on("green", "two", takes=True)], Way("blue", is_ready=True, is_gone=False)),
        # It runs there, and is not well: it is started again, or waited for.
        (
            [on("blue", "one", healthy=False), on("green", "two", takes=True)],
            Way("blue", is_ready=False, is_gone=False),
        ),
        # Another release, or none, is there.
        ([on("blue", "other"), on("green", "two", takes=True)], Way("blue", is_ready=False, is_gone=False)),
        ([on("blue", None, healthy=False), on("green", "two", takes=True)], Way("blue", is_ready=False, is_gone=False)),
        # Killed in the middle of it: both take requests, or it is there already.
        ([on("blue", "one", takes=True), on("green", "two", takes=True)], Way("blue", is_ready=True, is_gone=False)),
        ([on("blue", "one", takes=True), on("green", "two")], Way("blue", is_ready=True, is_gone=True)),
        # The only colour that has the traffic is never emptied, however it is.
        ([on("blue", "one", takes=True, healthy=False), on("green", "x")], Way("blue", is_ready=False, is_gone=True)),
        # Of two that run it, the one that is well.
        ([on("blue", "one", healthy=False), on("green", "one", takes=True)], Way("green", is_ready=True, is_gone=True)),
    ],
)
def test_the_traffic_goes_where_the_release_is_and_else_to_an_idle_colour(colours, way):
    assert way_to("one", colours) == way


def test_no_colour_that_has_traffic_is_emptied_for_it():
    with pytest.raises(NotReady, match="no colour is idle"):
        way_to("one", [on("blue", "two", takes=True), on("green", "three", takes=True)])


def proof(**changes):
    return Proof(**({"expected": "one", "requests": 100, "by": {"one": 100}, "is_off": True, "asked_at": AT} | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.VERIFIED),
        ({"by": {"one": 99, "two": 1}}, Verdict.REFUTED),
        ({"is_off": False}, Verdict.REFUTED),
        # What did not answer showed nothing.
        ({"by": {"one": 99}, "failed": {"ReadTimeout": 1}}, Verdict.UNKNOWN),
        ({"by": {}, "failed": {"ConnectError": 100}}, Verdict.UNKNOWN),
        ({"is_off": None}, Verdict.UNKNOWN),
        ({"expected": None}, Verdict.UNKNOWN),
        ({"by": {}}, Verdict.UNKNOWN),
    ],
)
def test_it_is_verified_only_if_every_answer_came_from_the_version_before_and_the_flag_is_off(changes, verdict):
    found = proof(**changes)
    assert found.verdict is verdict
    assert bool(list(found.findings)) == (verdict is not Verdict.VERIFIED) or changes == {"by": {}}


def test_its_page_says_first_where_it_is_back_and_whose_word_it_was():
    returned = Returned(
        environment="production",
        left="two",
        to="one",
        rollout=7,
        roll_back=3,
        flag="search",
        who="mara",
        why="errors | many",
        begun_at=AT,
        ended_at=AT,
        joined=True,
    )
    request = RollBackRequest(by="ola", because="me too")
    found = proof(by={"two": 100})
    report = RollBackReport(
        request=request, period="p", attempt=1, verdict=found.verdict, returned=returned, proof=found, ended_at=AT
    )
    page = render_roll_back(report)
    assert page.startswith("# production is back at one\n\n**REFUTED**. two was left in 0.0 s by mara: errors \\| many")
    assert "- 100 of 100 requests were answered by two, not by one" in page
    assert "- mara had asked for it before" in page
    assert all(line.endswith(" |") for line in page.splitlines() if line.startswith("|"))
