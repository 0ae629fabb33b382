"""Rollouts, whatever they stand on killed or stopped at every boundary: users are back in time, or the rollout went on.

`STEWARD_DRILL_CASES` says how many: one by default, more by `make drill-rollout`. Everything is judged from outside, by SDKs
in processes of their own, by users of the shop, and by the record. `withdrawn` and `resumed` count outcomes. To be zero:
`late_exposures`: looks of an SDK, or answers to users, at which somebody was exposed later than a second after the lease.
`flips`: times that a user came back who had been taken off. `promotions_without_proof`: steps that were left without a GO,
and cells of the judge's matrix that give one. `left_over`: a flag, traffic, an operation or a process that is not as the
record says. `failures`: anything else, such as requests that no outage explains, and evidence that does not verify.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from steward.rollout.state import State
from tests.drills.__main__ import LAST_LINE
from tests.drills.operations.stage import until
from tests.drills.rollout import blinding, matrix, table
from tests.drills.rollout.cases import drawn
from tests.drills.rollout.conducting import conduct
from tests.drills.rollout.judgement import FAULTS, Judgement
from tests.drills.rollout.stage import PATIENCE_SECONDS, staged

pytestmark = pytest.mark.without_search

SHORT = 1
CASES = int(os.environ.get("STEWARD_DRILL_CASES", SHORT))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
ONLY = os.environ.get("STEWARD_DRILL_ONLY")
TABLE = os.environ.get("STEWARD_DRILL_TABLE")
#: Where more is asked for than `make test` has time for, the judge is also blinded for real.
EVERY = [*drawn(SEED, CASES), *(blinding.cases(CASES) if CASES > SHORT else ())]
DRAWN = [case for case in EVERY if ONLY in {None, str(case.number)}]


class Told:
    """Of all cases so far."""

    def __init__(self) -> None:
        self.rows, self.matrix = [], matrix.count()
        self.sums = Counter(dict.fromkeys(("cases", "deaths", "withdrawn", "resumed", "refused", *FAULTS), 0))
        self.sums["promotions_without_proof"] += len(self.matrix[1])

    def add(self, judgement):
        story = judgement.story
        self.sums.update({"cases": 1, "deaths": int(bool(story.struck_at)), judgement.outcome: 1, **judgement.faults})
        attempts = story.last.attempt if story.last else 0
        wrong = "; ".join(judgement.told)
        self.rows.append((story.case, judgement.outcome, attempts, exposed_seconds(judgement), wrong))

    @property
    def summary(self):
        return {**self.sums, "matrix_cells": self.matrix[0]}


def exposed_seconds(judgement):
    """From the blow to the last look at which an SDK had somebody exposed, where the rollout was withdrawn."""
    story = judgement.story
    if not story.struck_at or judgement.rollout is None or judgement.rollout.state is not State.ROLLED_BACK:
        return None
    ticks = [tick.at for each in story.ticks.values() for tick in each if "1" in tick.got]
    return max(0.0, max(ticks, default=0.0) - story.struck_at)


def line(judgement):
    """What was seen, for whoever watches."""
    story, rollout = judgement.story, judgement.rollout
    most = {name: max((tick.got.count("1") for tick in ticks), default=0) for name, ticks in story.ticks.items()}
    end = f"{rollout.state}, {rollout.who}: {rollout.why}" if rollout else "no rollout"
    attempts = story.last.attempt if story.last else 0
    seconds = exposed_seconds(judgement)
    return (
        f"\n{story.case}: {judgement.outcome} in {story.last.at - story.began_at if story.last else 0:.0f} s, {attempts} attempts, {end[:160]}; "
        f"looks {sum(map(len, story.ticks.values()))}, at most exposed {most}, after the blow {seconds}, users {dict(story.failures)}"
        f"{'; WRONG: ' if judgement.told else ''}{'; '.join(judgement.told)}"
    )


@pytest.fixture(scope="module")
def told():
    found = Told()
    yield found
    if TABLE:
        Path(TABLE).write_text(table.render(SEED, found.rows, found.summary, found.matrix))


@pytest.fixture(scope="module")
def stage(replica, tmp_path_factory):
    with staged(replica, tmp_path_factory.mktemp("rollout")) as stage:
        yield stage


@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_users_are_back_in_time_or_the_rollout_went_on(stage, told, case, record_property):
    judgement = Judgement(stage, conduct(stage, case))
    judgement.judge()
    told.add(judgement)
    record_property(LAST_LINE, told.summary)
    sys.stdout.write(line(judgement))
    repeat = f"python -m tests.drills rollout --cases {CASES} --seed {SEED} --only {case.number}"
    assert not judgement.told, "\n".join([repeat, *judgement.told, f"ended {judgement.outcome}: {judgement.rollout}"])


def test_nothing_that_cannot_be_read_lets_a_step_go_on(told):
    cells, promotions = told.matrix
    assert cells
    assert not promotions


def test_prefect_shows_no_run_as_running_that_has_no_process(stage):
    """Last, for it looks at the runs of all the others."""
    until(lambda: not stage.unended(), PATIENCE_SECONDS, lambda: f"end of {stage.unended()}")
