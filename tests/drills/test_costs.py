"""Reconciliations of costs, killed wherever, over pages that come damaged or late: every total is that of a clean run.

`STEWARD_DRILL_CASES` says how many: one by default, more by `make drill-costs`. `cases` and `deaths` count what was done,
`killed_at` where. Everything else is to be zero, and is judged by database and bucket, not by what the flows say:
`differing_totals`: a figure, a statement or an object that is another than a clean run's, to the digit. `counted_twice`: a
row, a statement, evidence or a FOCUS amount too many. `lost`: a day, a page, an alert that is missing. `stuck`: an operation
that nobody ends. `left_over`: files of whoever was killed.
"""

import os
from collections import Counter

import pytest

from tests.drills.__main__ import PLACES
from tests.drills.costs.cases import drawn, place_of
from tests.drills.costs.conducting import conduct
from tests.drills.costs.ground import laid
from tests.drills.costs.judgement import said
from tests.flows.prefect_server import recording_in
from tests.testbed.providers.ground import running_twins

pytestmark = pytest.mark.without_search

CASES = int(os.environ.get("STEWARD_DRILL_CASES", "1"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
ONLY = os.environ.get("STEWARD_DRILL_ONLY")
DRAWN = [case for case in drawn(SEED, CASES) if ONLY in {None, str(case.number)}]


@pytest.fixture(scope="module")
def ground(replica, tmp_path_factory):
    with (
        running_twins(tmp_path_factory.mktemp("twins")) as twins,
        laid(replica, twins, tmp_path_factory.mktemp("costs")) as made,
    ):
        yield made


@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_killed_wherever_it_comes_to_the_totals_of_a_clean_run(ground, in_replica, case, record_property):
    with recording_in(in_replica):
        judgement, deaths = conduct(case, ground)
    record_property(case.kind, {"cases": 1, "deaths": len(deaths), **judgement.faults})
    record_property(PLACES, Counter(map(place_of, deaths)))
    repeat = f"python -m tests.drills costs --cases {CASES} --seed {SEED} --only {case.number}"
    assert not any(judgement.faults.values()), f"{repeat}\n{said(judgement)}"
