"""What became of a case: the twins' own record is the truth, and the ledger is held against it by attempt."""

from collections import Counter
from dataclasses import dataclass

#: By the ledger's column, the truth's.
CLASSES = {
    "input_uncached": "input_uncached",
    "input_cached": "cache_read",
    "cache_write": "cache_write_30m",
    "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "output": "output",
    "reasoning": "reasoning",
}
_INPUT = ("input_uncached", "cache_read", "cache_write_30m", "cache_write_5m", "cache_write_1h")
OVER = {"settled", "aborted", "unknown"}


@dataclass(frozen=True)
class Fault:
    """One attempt of which the ledger does not say what was."""

    kind: str
    """lost: arrived, and not in the ledger; doubled: arrived twice; misstated; unended."""
    attempt: str
    told: str

    def __str__(self) -> str:
        return f"{self.kind} {self.attempt}: {self.told}"


def compare(truths, rows):
    """Every fault of *rows*, the ledger's, beside *truths*, what came in at the providers."""
    by_id = {row["id"]: row for row in rows}
    arrived = Counter(truth["client_request_id"] for truth in truths)
    faults = [Fault("doubled", each, f"arrived {times} times") for each, times in arrived.items() if times > 1]
    for truth in truths:
        row = by_id.get(truth["client_request_id"])
        if row is None:
            told = f"{truth['outcome']} at {truth['provider']}, request {truth['request_id']}"
            faults.append(Fault("lost", truth["client_request_id"], told))
        elif why := misstated(truth, row):
            faults.append(Fault("misstated", row["id"], why))
    for row in rows:
        if row["state"] not in OVER:
            faults.append(Fault("unended", row["id"], f"it is {row['state']} since {row['reserved_at']}"))
        if row["state"] == "settled" and row["id"] not in arrived:
            faults.append(Fault("misstated", row["id"], f"settled as {row['ending']}, and it never arrived"))
    return faults


def misstated(truth, row):
    """What *row* says that was not so; empty where it is right, or claims nothing."""
    if row["state"] == "aborted":
        return f"not sent, it says ({row['error_class']}); it arrived, and was {truth['outcome']}"
    if row["state"] != "settled":
        return ""
    if row["is_estimate"]:
        return _outside(truth, row)
    wrong = [
        f"{ours} is {row[ours]} and was {billed}"
        for ours, theirs in CLASSES.items()
        if row[ours] != (billed := truth[theirs] if truth["billed"] else 0)
    ]
    if truth["billed"] and row["model_served"] != truth["model_served"]:
        wrong.append(f"model {row['model_served']}, and it was {truth['model_served']}")
    return ", ".join(wrong)


def _outside(truth, row):
    given = sum(truth[name] for name in _INPUT) if truth["billed"] else 0
    output = truth["output"] if truth["billed"] else 0
    wrong = []
    if not row["input_low"] <= given <= row["input_high"]:
        wrong.append(f"input was {given}, outside of [{row['input_low']}, {row['input_high']}]")
    if not row["output_low"] <= output <= row["output_high"]:
        wrong.append(f"output was {output}, outside of [{row['output_low']}, {row['output_high']}]")
    return ", ".join(wrong)


def is_cut(asked, kills):
    """Whether *asked* was under way in a worker when the drill killed it: nothing that anybody promised could save it."""
    return asked.outcome == "broken" and was_under_way(asked, kills)


def was_under_way(asked, kills):
    """In a worker, when it was killed; *kills*: (worker, from, to)."""
    return any(worker == asked.worker and asked.began <= to and asked.ended >= since for worker, since, to in kills)
