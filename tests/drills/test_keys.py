"""Keys rotated and tenants erased, whatever is killed, frozen or away, wherever: every row decrypts, nothing is done twice.

`STEWARD_DRILL_CASES` says how many: one by default, more by `make drill-keys`; `STEWARD_DRILL_ONLY` names one of them.
Cases run side by side, each in a replica that it shares with none: what a test here waits for may have ended long ago.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from tests.drills.keys.cases import draw
from tests.drills.keys.conducting import conduct
from tests.drills.keys.planting import planted
from tests.drills.keys.stage import staged

pytestmark = pytest.mark.without_search

CASES = int(os.environ.get("STEWARD_DRILL_CASES", "1"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
ONLY = os.environ.get("STEWARD_DRILL_ONLY")
DRAWN = [case for case in draw(SEED, CASES) if ONLY is None or case.number == int(ONLY)]
#: A case waits for most of its time; more of them than this would only measure two cores.
LANES = 3
#: A lane's replica takes as much of a processor to start as some cases do: it pays from so many of them on.
CASES_OF_A_LANE = 4


#: Every kind of fault that is judged by what the servers have.
KINDS = {"unreadable", "lost", "unfound", "below", "orphans", "doubled", "unproved", "uncovered"}


@pytest.fixture(scope="module")
def conducted(replica):
    """The outcome of each case and of the planting, to be waited for."""
    count = min(LANES, -(-len(DRAWN) // CASES_OF_A_LANE))
    with staged(replica, count) as lanes, ThreadPoolExecutor(count, "lane") as pool:
        free = SimpleQueue()
        for lane in lanes:
            free.put(lane)

        def in_a_lane(work, *what):
            lane = free.get()
            try:
                return work(lane, *what)
            finally:
                free.put(lane)

        outcomes = {case: pool.submit(in_a_lane, conduct, case) for case in DRAWN}
        outcomes[planted] = pool.submit(in_a_lane, planted)
        yield outcomes
        for each in outcomes.values():
            each.cancel()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_every_row_decrypts_under_one_new_key_whatever_is_killed(conducted, case, record_property):
    tally, story = conducted[case].result()
    record_property(case.kind, tally.figures)
    record_property("killed_at", {case.place: 1})
    if tally.faults:
        # Now, and not when the last of two hundred has ended.
        again = f"python -m tests.drills keys --cases {case.number + 1} --seed {SEED} --only {case.number}"
        print("\n".join([f"\nFAILED {case}: {tally.faults}", f"again: {again}", *story]))  # noqa: T201
    assert not tally.faults


def test_a_clean_rotation_has_no_fault_and_one_of_each_kind_is_told_where_it_was_planted(conducted):
    clean, faults, faults_of_an_erasure = conducted[planted].result()
    assert clean == {}
    assert set(faults) == KINDS
    assert "readable" in faults_of_an_erasure
