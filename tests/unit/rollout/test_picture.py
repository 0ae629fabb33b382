from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from steward.rollout.glance import Glance, metrics_of
from steward.rollout.judge import judge
from steward.rollout.picture import NARROW, WIDE, draw_arms
from steward.rollout.readings import ArmCounts
from tests.unit.rollout.looks import BEGUN, PLAN, look

SVG = "{http://www.w3.org/2000/svg}"


def glances(*counts, exposure=5, step=1, begun=BEGUN, **more):
    """A look every five seconds; None: the exposed could not be read."""
    found = []
    for number, on in enumerate(counts, 1):
        at = begun + 5 * number
        reading = look(on or (0, 0), at=at, begun_at=begun, exposure=exposure, step=step, **more)
        reading = reading if on else reading.model_copy(update={"on": ArmCounts()})
        judged = judge(reading, PLAN, at, None)
        found.append(Glance.model_validate_json(judged.model_dump_json()))
    return found


def read(svg):
    return ET.fromstring(svg)  # noqa: S314  it was made here


def paths(svg, css):
    return [each for each in read(svg).iter(f"{SVG}path") if each.get("class") == css]


def test_every_judgement_is_read_back_as_people_are_shown_it():
    (glance,) = glances((1500, 15, 75))
    assert metrics_of([glance]) == ["error", "slow"]
    error = glance.of("error")
    assert (error.on_hits, error.off_hits, error.is_compared) == (15, 285, True)
    assert 0 <= error.to_harm < 1


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_both_arms_are_drawn_with_their_bands(width):
    svg = draw_arms(glances((500, 5, 25), (1000, 10, 50), (1500, 15, 75)), "error", width)
    for arm in ("on", "off"):
        assert len(paths(svg, f"line {arm}")) == len(paths(svg, f"band {arm}")) == 1
    assert "exposed 1 % (15 of 1,500)" in "".join(read(svg).itertext())


def test_what_could_not_be_judged_is_a_gap_and_no_line_across_it():
    good = (500, 5, 25)
    svg = draw_arms(glances(good, good, None, None, good, good), "error")
    assert len(paths(svg, "line on")) == 2
    assert [each.get("fill") for each in read(svg).iter(f"{SVG}rect")].count("url(#gap-error-720)") == 1


def test_no_line_joins_two_steps_for_users_are_counted_anew():
    first = glances((500, 5, 25), (1000, 10, 50))
    second = glances((500, 5, 25), (1000, 10, 50), step=2, exposure=25, begun=first[-1].at + 2)
    assert len(paths(draw_arms([*first, *second], "error"), "line on")) == 2


def test_where_all_are_exposed_there_are_no_others():
    svg = draw_arms(glances((500, 5, 25), (1000, 10, 50), step=4, exposure=100), "error")
    assert not paths(svg, "line off")
    assert "others none" in "".join(read(svg).itertext())


def test_nothing_judged_is_no_picture():
    assert draw_arms(glances(None, None), "error") == ""
    assert draw_arms([], "error") == ""
