"""Missing, NaN, stale, nobody, or split otherwise: of each metric and guard, at each step, nothing of it lets a step go on."""

import pytest

from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Plan
from tests.drills.rollout import matrix

PLAN = Plan()
CELLS = list(matrix.cells(PLAN))
AT = matrix.BEGUN + PLAN.bake_seconds + 60


@pytest.mark.parametrize("at", sorted({(cell.exposure, cell.baking) for cell in CELLS}), ids=str)
def test_but_for_its_trouble_each_cell_would_go_on(at):
    assert judge(matrix.well(matrix.Cell("", "", *at), PLAN, AT), PLAN, AT).decision is Decision.GO


def test_every_trouble_is_tried_at_every_step():
    assert len({cell.trouble for cell in CELLS}) == 5
    assert {cell.exposure for cell in CELLS if not cell.baking} == set(PLAN.steps)
    assert {cell.exposure for cell in CELLS if cell.baking} == {100}
    named = {cell.figure for cell in CELLS}
    assert {f"guard {each.name}" for each in PLAN.guards} < named
    assert {f"{arm} {each.name}" for arm in ("on", "off") for each in PLAN.metrics} < named


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: " ".join(map(str, cell)))
def test_no_cell_goes_on_and_none_that_cannot_be_read_keeps_users_exposed(cell):
    assert not matrix.promotes(cell, PLAN)
    if cell.trouble in {"missing", "not a number", matrix.STALE}:
        assert not matrix.renews(cell, PLAN)
