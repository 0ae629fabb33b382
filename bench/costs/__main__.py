"""How much of a month's difference between bills and ledger gets its true cause, and in what time: `python -m bench.costs`.

    python -m bench.costs [--seed N]

Months of 1, 3 and 10 million attempts at both providers are generated, struck by more than a dozen causes of known dollars
(bench/costs/planting.py, bench/costs/incidents.py), and laid out: sealed hours of the ledger, raw pages of the twins' reports.
Then every day of every account is reconciled from those files, by as many processes as there are cores; laying out is not
timed. One more month has nothing planted. No servers are needed. Progress goes to standard error; the last line of standard
output is JSON:

    reconcile_10m_seconds                   the whole month of 10 million attempts, from pages and sealed hours to causes; goal: < 60
    reconcile_1m_seconds, ..._3m_...        the same of the smaller ones
    growth                                  seconds for a million attempts of 10 million, over those of 1 million; 1 is linear
    reconcile_10m_peak_gib                  memory of all processes at their highest, added up; goal: < 4
    billed_usd, ledger_usd                  the month of 10 million
    ledger_variance_percent                 what has no cause, of what is billed; goal: <= 0.1
    unexplained_usd                         what has no cause, day by day and account by account, signs dropped; goal: <= the bound
    rounding_bound_usd                      what rounding of the reports' lines can come to
    causes_planted                          kinds; goal: >= 12
    dollars_on_the_right_cause_percent      planted dollars that were found under the same cause, account, day and project,
                                            of all planted, in the month of 10 million; goal: >= 99
    dollars_..._percent_1m, ..._3m          of the smaller ones
    false_causes_on_clean_days              account-days of the month with nothing planted to which a cause is put that is not in their
                                            truth: every month has attempts without an end, and streams that were given up; goal: 0
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.costs.laying import Month, lay
from bench.costs.measuring import Measured, false_days, measure
from bench.goals import tell
from bench.ground import progress

GOALS = {
    "reconcile_10m_seconds": 60.0,
    "reconcile_10m_peak_gib": 4.0,
    "ledger_variance_percent": 0.1,
    "false_causes_on_clean_days": 0,
}
LEAST = {"causes_planted": 12, "dollars_on_the_right_cause_percent": 99.0}
MONTH, SEED = "2026-10", 7
SIZES = {"1m": 1_000_000, "3m": 3_000_000, "10m": 10_000_000}
LARGEST = "10m"
_GIB = 1 << 30
_CENTS = 2
_FINE = 6


def bench(seed: int) -> dict[str, Any]:
    """All months, the largest last."""
    clean = _month("clean", SIZES["1m"], seed, clean=True)
    figures: dict[str, Any] = {"false_causes_on_clean_days": false_days(clean)}
    for name, attempts in SIZES.items():
        month = _month(name, attempts, seed)
        figures[f"reconcile_{name}_seconds"] = round(month.seconds, _CENTS)
        figures[f"dollars_on_the_right_cause_percent_{name}"] = _round(month.right_percent, 3)
        # The largest is the one that goals are for.
        figures |= _of_largest(month) if name == LARGEST else {}
    ratio = SIZES[LARGEST] / SIZES["1m"]
    figures["growth"] = round(figures["reconcile_10m_seconds"] / figures["reconcile_1m_seconds"] / ratio, 3)
    return figures


def _of_largest(found: Measured) -> dict[str, Any]:
    return {
        "dollars_on_the_right_cause_percent": _round(found.right_percent, 3),
        "reconcile_10m_peak_gib": round(found.peak / _GIB, 3),
        "billed_usd": _round(found.billed, _CENTS),
        "ledger_usd": _round(found.ledger, _CENTS),
        "ledger_variance_percent": _round(100 * found.unexplained / found.billed, _FINE),
        "unexplained_usd": _round(found.unexplained, _FINE),
        "rounding_bound_usd": _round(found.bound, _FINE),
        "causes_planted": len({key[0] for key in found.planted}),
    }


def _round(value: Decimal, places: int) -> float:
    return round(float(value), places)


def _month(name: str, attempts: int, seed: int, *, clean: bool = False) -> Measured:
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        month, began = Month(Path(folder), MONTH, attempts, seed, clean), time.perf_counter()
        planted = lay(month)
        progress(f"{name}: {attempts:,} attempts laid out in {time.perf_counter() - began:.0f} s")
        found = measure(month.place, MONTH, planted)
    progress(
        f"{name}: reconciled in {found.seconds:.1f} s, {_round(found.right_percent, 3)} % of dollars on the right cause"
    )
    for cause, (there, right, wrong) in sorted(found.by_cause().items()):
        progress(f"  {cause:20} planted {there:12.4f}  found {right:12.4f}  beside it {wrong:10.4f}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="bench.costs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=SEED, help="of the months, and of what is planted")
    figures = bench(parser.parse_args(arguments).seed)
    return tell(figures, {**GOALS, "unexplained_usd": figures["rounding_bound_usd"]}, LEAST)


if __name__ == "__main__":
    sys.exit(main())
