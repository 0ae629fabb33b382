"""Damage of every kind, each found and named by what a night checks; and nights without damage, of which none is refuted.

`STEWARD_DRILL_CASES` says how many rounds of all kinds, with rivals: none by default, when a few kinds are drawn and no
rival is asked; one and more by `make drill-faults`. `STEWARD_DRILL_CLEAN`: clean runs under writes.
"""

import os
import random
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from replica import inventory
from steward.settings import load
from tests.drills.__main__ import LAST_LINE
from tests.drills.faults import rivals, table
from tests.drills.faults.case import Case, conduct
from tests.drills.faults.clean import Clean, clean_runs
from tests.drills.faults.controls import CONTROLS
from tests.drills.faults.ground import laid
from tests.drills.faults.kinds import Kind, Right, Where
from tests.drills.faults.matrix import KINDS

ROUNDS = int(os.environ.get("STEWARD_DRILL_CASES", "0"))
CLEAN = int(os.environ.get("STEWARD_DRILL_CLEAN", "0"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
ONLY = os.environ.get("STEWARD_DRILL_ONLY")
TABLE = os.environ.get("STEWARD_DRILL_TABLE")
#: So many of the kinds are met in `make test`, others with each seed.
SHORT = 5


class Drawn(NamedTuple):
    turn: int
    number: int
    kind: Kind

    def __str__(self) -> str:
        return f"{self.turn}-{self.number}-{self.kind}".replace(" ", "-")


def drawn():
    numbered = list(enumerate(KINDS))
    if ROUNDS:
        return [Drawn(turn, *each) for turn in range(ROUNDS) for each in numbered if ONLY in {None, str(each[0])}]
    quick = [Drawn(0, *each) for each in numbered if not each[1].slow]
    return sorted(random.Random(SEED).sample(quick, SHORT), key=lambda each: each.number)


class Told:
    """Of all cases so far."""

    def __init__(self) -> None:
        self.judged, self.clean, self.false_alarms = [], Clean(), 0
        self.versions = {"curator": "", "elasticdump": ""}

    @property
    def summary(self):
        right = Counter(each.is_detected for each in self.judged if each.case.kind.right is not Right.WITHSTOOD)
        withstood = [each.is_detected for each in self.judged if each.case.kind.right is Right.WITHSTOOD]
        return {
            "faults": right.total(),
            "detected": right[True],
            "false_alarms": self.false_alarms + len(self.clean.false_alarms),
            "clean_runs": self.clean.runs,
            "withstood": sum(withstood),
            "not_withstood": len(withstood) - sum(withstood),
            "unproved": len(self.clean.unproved),
        }


@pytest.fixture(scope="module")
def told():
    found = Told()
    yield found
    if TABLE:
        Path(TABLE).write_text(table.render(SEED, found.judged, found.versions, found.clean, found.summary))


@pytest.fixture(scope="module")
def grounds(replica, told):
    """The ground of a round, and the rivals that are asked on it: the next one's is laid anew."""
    with ExitStack() as stack:
        turns = {}

        def of(turn):
            if turn not in turns:
                stack.close()
                turns[turn] = stack.enter_context(_round(replica, told))
            return turns[turn]

        yield of


@contextmanager
def _round(replica, told):
    with laid(replica, load(inventory.settings_file(replica))) as ground, ExitStack() as stack:
        if not ROUNDS:
            yield ground, ()
            return
        tools = (
            stack.enter_context(rivals.curator(replica, ground.there)),
            stack.enter_context(rivals.elasticdump(ground)),
        )
        told.versions = {"curator": tools[0].version, "elasticdump": tools[1].version}
        yield ground, tools


# First, for the last kinds of damage change what is compared with.
@pytest.mark.parametrize("number", range(len(CONTROLS)), ids=lambda number: CONTROLS[number].name.replace(" ", "-"))
def test_what_is_not_damaged_raises_no_alarm(grounds, told, number, record_property):
    ground, tools = grounds(0)
    judged = conduct(Case(ground, CONTROLS[number], len(KINDS) + number, SEED), tools)
    told.false_alarms += bool(judged.findings)
    record_property(LAST_LINE, told.summary)
    assert judged.findings == []
    assert {name: said for name, said in judged.rivals.items() if said} == {}


@pytest.mark.parametrize("case", drawn(), ids=str)
def test_damage_is_found_and_named(grounds, told, case, record_property):
    ground, tools = grounds(case.turn)
    judged = conduct(Case(ground, case.kind, case.number, SEED + case.turn), tools)
    told.judged.append(judged)
    record_property(LAST_LINE, told.summary)
    rivals.say(f"\n{judged}")
    repeat = f"python -m tests.drills faults --cases {ROUNDS or 1} --seed {SEED + case.turn} --only {case.number}"
    assert judged.is_detected, "\n".join([repeat, *judged.case.notes, f"to be named: {judged.named}", *judged.told])


@pytest.mark.skipif(not CLEAN, reason="they take ten minutes: make drill-faults")
@pytest.mark.timeout(3 * 3600)
def test_nights_under_writes_raise_no_alarm(replica, settings, told, record_property):
    clean_runs(replica, settings, CLEAN, told.clean, rivals.say)
    record_property(LAST_LINE, told.summary)
    assert told.clean.false_alarms == []
    assert told.clean.unproved == []
    assert told.clean.writes_per_second >= 200


def test_kinds_are_many_and_no_two_are_called_the_same():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 40
    assert {kind.where for kind in KINDS} == set(Where)
