"""Nothing is begun in an environment that is not as a rollout needs it, and whoever asked is told what to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steward.rollout.gates import GatesNeeded, assess_gates
from steward.rollout.preconditions import NotReady, colours_of, require_counted, require_gates, require_release


def test_the_colour_without_traffic_is_the_one_to_put_a_release_on():
    assert colours_of(["blue"], ["green", "blue"]) == ("green", "blue")


@pytest.mark.parametrize(
    ("serving", "known"), [([], ["blue", "green"]), (["blue", "green"], ["blue", "green"]), (["blue"], ["blue"])]
)
def test_traffic_that_is_not_on_one_of_two_colours_is_refused(serving, known):
    with pytest.raises(NotReady, match="expected one colour") as refused:
        colours_of(serving, known)

    assert "direct" in refused.value.hint


def test_an_unknown_release_is_refused_with_the_one_that_was_meant():
    with pytest.raises(NotReady, match=r"'v1\.3'; known: v1\.2, v1\.30") as refused:
        require_release("v1.3", ["v1.2", "v1.30"], "v1.2")

    assert "v1.30" in refused.value.hint


def test_the_release_that_has_the_traffic_is_not_rolled_out_again():
    with pytest.raises(NotReady, match="has the traffic already"):
        require_release("v1.2", ["v1.2"], "v1.2")


def test_a_metric_that_nobody_counts_is_refused_with_the_one_that_was_meant():
    counted = ["exposed", "error", "slow", "ordered"]
    require_counted(["error", "ordered"], counted, "blue")

    seen = "blue does not count orderd; it counts error, ordered, slow; expected every metric of the plan"
    with pytest.raises(NotReady, match=seen) as refused:
        require_counted(["error", "orderd"], counted, "blue")
    assert refused.value.hint == "did you mean ordered?"

    with pytest.raises(NotReady, match="does not count ordered and rated; it counts error, slow;") as refused:
        require_counted(["ordered", "rated"], ["exposed", "error", "slow"], "blue")
    assert "where the application starts" in refused.value.hint


def test_a_release_without_its_gates_is_refused_and_each_gate_is_named():
    report = assess_gates(GatesNeeded(), None, "v1.3", datetime.now(UTC))

    with pytest.raises(NotReady, match="unit_tests: UNKNOWN"):
        require_gates(report)
