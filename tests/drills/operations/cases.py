"""Which faults at which points: drawn by a seed, and put together into waves that run side by side."""

import random
from dataclasses import dataclass
from itertools import groupby

#: Every boundary between steps; inside each step before its effect; and after the effect, before its record.
_COMMON = ("prepare", "reserve", "post", "allocate")
_FORWARD = [*_COMMON, "notify", "clear"]
_BACKWARD = ["release", "refund", "clear"]
#: These hit one run; the others hit a server, and so every run of their wave.
ALONE = ("flow", "freeze", "twice")
FAULTS = (*ALONE, "both", "watch", "postgres", "worker", "prefect")
#: More runs at once than two cores start in good time would only measure the machine.
WIDTH = 4


@dataclass(frozen=True)
class Case:
    """One order, the fault that meets it, and where it is held when it does."""

    name: str
    fault: str
    point: str
    out_of_stock: bool

    def __str__(self) -> str:
        return f"{self.fault} at {self.point}"


def points(out_of_stock):
    """Where an order can be met."""
    steps = [*_COMMON, *_BACKWARD] if out_of_stock else _FORWARD
    return [f"{step}{where}" for step in steps for where in ("", " begun", " done")] + ["end"]


def draw(seed, count):
    """*count* cases. Faults take turns, and each goes through all points before one comes again."""
    chance, decks = random.Random(seed), {}
    cases = []
    for number in range(count):
        fault = FAULTS[number % len(FAULTS)]
        deck = decks.setdefault(fault, [])
        if not deck:
            # Started again, an order that was undone is tried again: that is no second time.
            sides = (False,) if fault == "twice" else (False, True)
            deck += [(back, point) for back in sides for point in points(back)]
            chance.shuffle(deck)
        back, point = deck.pop()
        cases.append(Case(f"case-{number}", fault, point, back))
    return cases


def waves(seed, count):
    """The cases in groups of at most WIDTH: those of one server's fault together, those of single runs mixed."""

    def kind(case):
        return "run" if case.fault in ALONE else case.fault

    grouped = [list(group) for _, group in groupby(sorted(draw(seed, count), key=kind), key=kind)]
    return [group[first : first + WIDTH] for group in grouped for first in range(0, len(group), WIDTH)]
