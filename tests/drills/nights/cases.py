"""Which faults meet a night at which points: drawn by a seed."""

import random
from dataclasses import dataclass

#: In the order in which a night of one batch comes by them.
STEPS = (
    "begin_attempt",
    "check_preconditions",
    "show_plan",
    "clear_dead_nights",
    "create_snapshot",
    "check_index_set",
    "check_blobs",
    "restore_batch",
    "compare_contents",
    "compare_definitions",
    "run_golden_queries",
    "drop_batch",
    "compare_templates",
    "copy_offsite",
    "prove_copy",
    "previous_snapshot_at",
    "clear_attempt",
    "keep_verdict",
    "expire_snapshots",
    "record_evidence",
    "keep_proofs",
    "publish",
)
#: Long enough to be met in their midst.
LONG = ("create_snapshot", "restore_batch", "compare_contents", "compare_templates", "copy_offsite", "prove_copy")
#: At a step's begin; after its effect, before its record; and some way into a long one.
POINTS = (*((step, at) for step in STEPS for at in ("begun", "unrecorded")), *((step, "midst") for step in LONG))
#: Servers that a night needs at almost every moment, and those of which one more or less says nothing of its verdict.
SERVERS = ("postgres", "prefect", "worker", "s3", "es-1", "es-2", "es-3", "scratch")
FAULTS = ("flow", "both", "watch", "freeze", "twice", *SERVERS)


@dataclass(frozen=True)
class Case:
    """One night, the fault that meets it, and where."""

    fault: str
    step: str
    at: str

    def __str__(self) -> str:
        return f"{self.fault} at {self.step} {self.at}"


def draw(seed, count):
    """*count* cases. Every second one kills the flow alone; the others take turns. No point comes twice before all have."""
    chance = random.Random(seed)
    others = [fault for fault in FAULTS if fault != "flow"]
    deck, cases = [], []
    for number in range(count):
        if not deck:
            deck = list(POINTS)
            chance.shuffle(deck)
        fault = "flow" if number % 2 == 0 else others[number // 2 % len(others)]
        cases.append(Case(fault, *deck.pop()))
    return cases
