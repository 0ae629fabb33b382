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
#: Of a night whose tenants are proved by runs of their own, where it differs: while these run, and once they have ended.
FANNED_OUT = (
    ("run_child", "begun"),
    ("run_child", "midst"),
    ("run_child", "unrecorded"),
    ("clear_runs", "begun"),
    ("clear_runs", "unrecorded"),
)
#: Seconds into a step that may be its midst; a run of its own first has to start.
MIDST_SECONDS = {"run_child": (0.02, 3.0)}
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

    @property
    def is_fanned_out(self) -> bool:
        """Whether runs of their own prove this night's tenants."""
        return (self.step, self.at) in FANNED_OUT


def draw(seed, count):
    """*count* cases. Every second one kills the flow alone; the others take turns. Two of eight are of nights that fan out.

    No point comes twice before all have.
    """
    chance = random.Random(seed)
    others = [fault for fault in FAULTS if fault != "flow"]
    decks, cases = {POINTS: [], FANNED_OUT: []}, []
    for number in range(count):
        points = FANNED_OUT if number % 8 in {2, 5} else POINTS
        if not (deck := decks[points]):
            deck += points
            chance.shuffle(deck)
        fault = "flow" if number % 2 == 0 else others[number // 2 % len(others)]
        cases.append(Case(fault, *deck.pop()))
    return cases
