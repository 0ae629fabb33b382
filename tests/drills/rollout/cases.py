"""Whom it hits, how, and at which boundary of a rollout: dealt by a seed, each as often as the others."""

import random
from typing import NamedTuple

#: Steps of the flow, with what tells their calls apart; the plan has two steps of exposure.
_FORWARD = [
    ("begin_rollout", ""),
    ("place_release", ""),
    ("warm_up", ""),
    ("check_health", ""),
    ("switch_over", ""),
    ("expose", "1"),
    ("prove", "1"),
    ("expose", "2"),
    ("prove", "2"),
    ("bake", ""),
    ("certify", ""),
    ("keep_previous", ""),
    ("conclude_rollout", ""),
    ("record_rollout", ""),
]
#: In the midst of them: users are exposed, and the lease is being renewed.
_LOOKS = [("prove", "1"), ("prove", "2"), ("bake", "")]
_BACK = [("withdraw_rollout", ""), ("conclude_rollout", "")]

#: `host` is the worker with the flow's process, as when their machine dies; a worker alone leaves the flow at work.
VICTIMS = ("flow", "postgres", "flags", "host", "prometheus", "haproxy", "prefect", "worker")
KINDS = (("kill", "short"), ("stop", "long"), ("kill", "long"), ("stop", "short"))
#: Shorter than a lease, and longer.
AWAY_SECONDS = {"short": 1.5, "long": 9.0}
LEASE_SECONDS, PATIENT_SECONDS = 5.0, 45.0
GOOD, BAD = "good", "broken"


class Place(NamedTuple):
    """`before` a step's effect, `after` it and before it is recorded, or at the second `look` of a step."""

    at: str
    step: str
    key: str
    release: str = GOOD

    def __str__(self) -> str:
        return " ".join(filter(None, [self.at, self.step.partition("_")[0], self.key, "back" * (self.release == BAD)]))


class Case(NamedTuple):
    number: int
    victim: str
    kind: str
    away: str
    place: Place

    @property
    def lease_seconds(self):
        """Long enough for a new run to go on while users are exposed, where the drill wants to see that."""
        return PATIENT_SECONDS if self.dies and self.away == "short" else LEASE_SECONDS

    @property
    def dies(self):
        """Whether the run itself ends by it."""
        return self.victim in {"flow", "host"} and self.kind == "kill"

    @property
    def is_long(self):
        return self.away == "long" or self.dies

    def __str__(self) -> str:
        return f"{self.number} {self.kind} {self.victim} {self.away} {self.place}"


def places():
    """Every boundary, in a rollout's order."""
    both = [Place(at, *step) for step in _FORWARD for at in ("before", "after")]
    looks = [Place("look", *step) for step in _LOOKS]
    return [*both, *looks, *(Place(at, *step, BAD) for step in _BACK for at in ("before", "after"))]


#: The same in every drill: users are exposed and nobody is left; and a server of flags that is back at once.
FIRST = [
    Case(0, "flow", "kill", "long", Place("look", "prove", "1")),
    Case(1, "flags", "kill", "short", Place("after", "expose", "1")),
]


def drawn(seed, count):
    """Victims take turns, each with every kind; places are dealt until each was had once."""
    chance, deck, dealt = random.Random(seed), [], FIRST[:count]
    for number in range(len(dealt), count):
        if not deck:
            deck = places()
            chance.shuffle(deck)
        victim = VICTIMS[number % len(VICTIMS)]
        kind, away = KINDS[(number // len(VICTIMS) + number) % len(KINDS)]
        dealt.append(Case(number, victim, kind, away, deck.pop()))
    return dealt
