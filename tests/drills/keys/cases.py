"""Which process is met where, and what happens to it and to the servers: drawn by a seed."""

import random
from dataclasses import dataclass
from signal import SIGKILL, SIGSTOP

from tests.drills.keys.points import ANYWHERE, EFFECT_POINTS, STEP_POINTS, VERSION, Stop

TENANTS, ROWS = 6, 120
SHRED = "shred-tenant"
ROTATION = "monthly-key-rotation"
ONE = "customer-0002"
_PATIENT = {"readers_seconds": 60}
#: What is asked for, by the name of the kind.
REQUESTS = {
    "scheduled": _PATIENT,
    "without grace": {"grace_days": 0, **_PATIENT},
    "suspicion": {"reason": "suspected-compromise", "because": "a drill", **_PATIENT},
    "one tenant": {"tenants": [ONE], **_PATIENT},
    "erasure": {"tenant": ONE, "confirm": ONE, "reason": "a drill", "wait_seconds": 60},
}
ALL = ("scheduled", "without grace", "suspicion")
ROTATIONS = (*ALL, "one tenant")
EVERY = (*ROTATIONS, "erasure")

STEPS = {
    "check_preconditions": ROTATIONS,
    "plant_golden_rows": ROTATIONS,
    "new_kek_version": ROTATIONS,
    "rewrap_keys": ROTATIONS,
    "add_generations": ROTATIONS,
    "await_readers (incoming)": ROTATIONS,
    "switch_writers": ROTATIONS,
    "await_readers (current)": ROTATIONS,
    "await_transactions (customers)": ROTATIONS,
    "reencrypt (customers)": ROTATIONS,
    "await_last_transactions (customers)": ("without grace",),
    "prove_rotation": ROTATIONS,
    "decide_retirement": ROTATIONS,
    "disable_keys": ROTATIONS,
    "destroy_keys": ROTATIONS,
    "disable_kek_versions": ROTATIONS,
    "keep_report": ROTATIONS,
    "record_rotation": ROTATIONS,
    "publish_rotation": ROTATIONS,
    "begin_erasure": ("erasure",),
    "sample_before": ("erasure",),
    "list_erasure": ("erasure",),
    "erase_keys": ("erasure",),
    "await_readers": ("erasure",),
    "prove_erased": ("erasure",),
    "conclude_erasure": ("erasure",),
    "record_erasure_evidence": ("erasure",),
    "show_erasure": ("erasure",),
}
#: Effects: what is asked for where they come, and how often at least.
EFFECTS = {
    VERSION: (ALL, 1),
    "version's making": (ALL, 1),
    "golden row": (ROTATIONS, 12),
    "golden write's intent": (ROTATIONS, 4),
    "golden write": (ROTATIONS, 4),
    "golden write's acknowledgement": (ROTATIONS, 4),
    "wrap": (ALL, TENANTS + 1),
    "master key": (ALL, TENANTS + 2),
    "generation": (ALL, TENANTS + 1),
    "switch": (ALL, TENANTS + 1),
    "batch": (ALL, 15),
    "part's record": (ALL, 2),
    "retirement": (ALL, TENANTS + 1),
    "destruction": (("without grace",), TENANTS + 1),
    "old wraps' removal": (("suspicion",), TENANTS + 1),
    "version's disabling": (("without grace", "suspicion"), 1),
    "entry of the erasure": (("erasure",), 1),
    "erasure": (("erasure",), 1),
    "entry of its end": (("erasure",), 1),
    "statement's row": (EVERY, 1),
    "statement's object": (EVERY, 1),
    "checkpoint's signature": (EVERY, 1),
    "checkpoint's row": (EVERY, 1),
    "leaves' anchor": (EVERY, 1),
    "checkpoint's anchor": (EVERY, 1),
    "conclusion": (EVERY, 1),
}
#: The vault makes a key in some tenths of a second; everything else takes milliseconds.
_DURING_SECONDS = {VERSION: 0.5, "version's making": 0.5}
_SOON_SECONDS = 0.02

KILLED, FROZEN, THROTTLED = "killed", "frozen", "throttled"
OUTAGES = [
    ("keyvault", KILLED),
    ("postgres", KILLED),
    ("keyvault", FROZEN),
    ("postgres", FROZEN),
    ("keyvault", THROTTLED),
]
#: What becomes of the process: "kill"; "again", its successor is killed too; "freeze", past its lease, and woken beside
#: or after its successor; "live", it meets the outage itself. In turns: half of the cases are plain kills.
ACTS = ("kill", "outage", "kill", "live", "kill", "freeze", "kill", "again")


@dataclass(frozen=True)
class Case:
    """One operation, where its process is met, and by what."""

    number: int
    asked: str
    act: str
    stop: Stop
    next_stop: Stop | None = None
    """Where its successor is killed."""
    outage: tuple[str, str] | None = None
    outage_seconds: float = 0.0
    woken_after_seconds: float | None = None
    """After the successor's begin; None: when that has ended."""

    @property
    def flow(self):
        return SHRED if self.asked == "erasure" else ROTATION

    @property
    def kind(self):
        """Of the case, for figures."""
        return f"{self.act} {' '.join(self.outage)}" if self.outage else self.act

    @property
    def place(self):
        """Where it is met, without what varies."""
        return self.stop.point

    def __str__(self) -> str:
        nth = f" #{self.stop.nth}" if self.stop.nth > 1 else ""
        return f"{self.number}: {self.asked}, {self.kind} {self.stop.point}{nth}"


def places():
    """Every point at which a process can be met, with what is to be asked for, and how often it comes."""
    found = [(f"{step} {when}", asked, 1) for step, asked in STEPS.items() for when in STEP_POINTS]
    for name, (asked, often) in EFFECTS.items():
        # What is announced is all that lies between: its answer is the making's end.
        whens = EFFECT_POINTS[:2] if name == VERSION else EFFECT_POINTS
        found += [(f"{when} {name}", asked, often) for when in whens]
    return found


def draw(seed, count):
    """*count* cases, the first of them the same whatever the count. No place comes twice before all have."""
    chance, deck, outages, cases = random.Random(seed), [], [], []
    for number in range(count):
        if not deck:
            deck = places()
            chance.shuffle(deck)
        if not outages:
            outages = [*OUTAGES]
            chance.shuffle(outages)
        act = ACTS[number % len(ACTS)]
        outage = outages.pop() if act in {"outage", "live"} else None
        cases.append(_case(chance, number, act, outage, deck.pop()))
    return cases


def _case(chance, number, act, outage, place):
    point, asked, often = place
    when, _, name = point.partition(" ")
    delay = chance.uniform(0.001, _DURING_SECONDS.get(name, _SOON_SECONDS)) if when == "during" else 0.0
    signal = SIGSTOP if act in {"freeze", "live"} else SIGKILL
    return Case(
        number,
        chance.choice(asked),
        act,
        Stop(point, signal, chance.randint(1, often), delay),
        Stop(ANYWHERE, SIGKILL, chance.randint(1, 40)) if act == "again" else None,
        outage,
        chance.uniform(0.5, 3.0),
        chance.choice([None, chance.uniform(0.0, 4.0)]),
    )
