"""Long drills by their own command: `python -m tests.drills NAME --cases N`. The last line is JSON."""

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

DRILLS = {
    "killed-nights": "test_killed_nights.py",
    "clean-runs": "test_clean_runs.py",
    "damage": "test_damaged_restore.py",
    "operations": "test_operations.py",
    "keys": "test_keys.py",
    "gateway": "test_gateway.py",
    "provider-keys": "test_provider_keys.py",
    "costs": "test_costs.py",
    "rollout": "test_rollout.py",
    "recovery": "cluster_gone.py",
    "faults": "test_faults.py",
}
#: Of the replica, where a drill needs few.
SERVERS = {
    "operations": "postgres,prefect,worker",
    "keys": "postgres,prefect",
    "gateway": "postgres,redis-1",
    "provider-keys": "postgres,s3,keyvault,prefect",
    "costs": "postgres,s3,prefect,worker",
    "recovery": "postgres,s3,keyvault,prefect,worker,es-1,es-2,es-3,scratch",
    "faults": "postgres,s3,es-1,es-2,es-3,scratch",
    "rollout": "postgres,prefect,haproxy,prometheus,flags,shop,watch,worker",
}
#: What a case tells beside its fault: how often it was met where.
PLACES = "killed_at"
#: What a drill that has figures of its own tells with each case: of all cases so far.
LAST_LINE = "last line"


class Count:
    """Counts what ran. A drill that ran nothing has not passed."""

    def __init__(self) -> None:
        self.passed = self.failed = 0
        #: By fault: what the tests of a drill that tells more than passed and failed have recorded.
        self.told = defaultdict(Counter)
        self.last_line = {}

    def pytest_runtest_logreport(self, report):
        self.passed += report.when == "call" and report.passed
        self.failed += report.failed
        if report.when == "call":
            for fault, figures in report.user_properties:
                if fault == LAST_LINE:
                    self.last_line = figures
                else:
                    self.told[fault].update(figures)

    @property
    def figures(self):
        """Sums, and for each fault how many cases it had: what was told, else what ran."""
        if self.last_line:
            return {**self.last_line, "failed": self.failed}
        if not self.told:
            return {"cases": self.passed + self.failed, "failed": self.failed}
        total, places = Counter(), {name: dict(told) for name, told in self.told.items() if name == PLACES}
        by_fault = {fault: figures["cases"] for fault, figures in self.told.items() if fault != PLACES}
        for fault in by_fault:
            total.update(self.told[fault])
        return {**total, "failed": self.failed, "by_fault": by_fault, **places}


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("name", choices=DRILLS)
    parser.add_argument("--cases", type=int, required=True, help="how many, at least 1")
    parser.add_argument("--seed", type=int, default=20250731, help="which ones; the same seed draws the same")
    parser.add_argument(
        "--only",
        type=int,
        help="of these cases the one of this number; of `keys`, `gateway`, `costs`, `rollout`, `faults`",
    )
    parser.add_argument("--clean", type=int, help="how many nights without damage, under writes; of `faults`")
    parser.add_argument("--window", type=int, help="seconds of the providers' limits, 60 in production; of `gateway`")
    parser.add_argument("--table", type=Path, help="where what became of each case is written; of `rollout`, `faults`")
    parser.add_argument("--replica", type=Path, help="use the replica there instead of one of the drill's own")
    asked = parser.parse_args()
    os.environ |= {"STEWARD_DRILL_CASES": str(asked.cases), "STEWARD_DRILL_SEED": str(asked.seed)}
    if asked.only is not None:
        os.environ["STEWARD_DRILL_ONLY"] = str(asked.only)
    if asked.clean is not None:
        os.environ["STEWARD_DRILL_CLEAN"] = str(asked.clean)
    if asked.window is not None:
        os.environ["STEWARD_DRILL_WINDOW"] = str(asked.window)
    if asked.table is not None:
        os.environ["STEWARD_DRILL_TABLE"] = str(asked.table.absolute())
    options = ["--replica", str(asked.replica)] if asked.replica else []
    options += ["--servers", SERVERS[asked.name]] if asked.name in SERVERS else []
    count, started = Count(), time.monotonic()
    path = Path(__file__).with_name(DRILLS[asked.name])
    code = pytest.main(["-v", "-s", "--timeout=1800", str(path), *options], plugins=[count])
    figures = {"drill": asked.name, "seed": asked.seed, **count.figures}
    print(json.dumps(figures | {"seconds": round(time.monotonic() - started)}))
    return int(code or not count.passed)


if __name__ == "__main__":
    sys.exit(main())
