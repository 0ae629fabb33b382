"""What a rotation of every tenant's keys costs: rows a second, what live users feel of it, and calls of the vault.

    python -m bench.keys [--rows N] [--tenants N] [--rate R] [--only rotation rival]

Real servers of its own; the sample application (demo/customers) serves users over HTTP all the while, at *rate* requests
a second, each write of theirs logged once it is acknowledged. The flow runs in a process of its own, as a worker starts
it. Rotated are a tenth of N rows, three tenths, and N. Progress goes to standard error; the last line of standard output
is JSON:

    reencrypt_rows_per_second    rows of N re-encrypted in a second of the sweep, rests included; goal: at least 10,000
    live_p99_added_ms            99th percentile of all requests that were due during that sweep, less that of the quiet
                                 times before and after it; goal: at most 5
    failed_operations            requests that were refused, failed or answered wrongly, in all runs; goal: 0
    lost_writes                  acknowledged writes that are not there, not readable or not found afterwards; goal: 0
    acknowledged_writes          of how many
    vault_calls_per_tenant       calls in the vault's own log under Steward's name, a tenant; goal: at most 2
    vault_calls_besides          calls that do not depend on the number of tenants, in that number included
    growth                       by rows: seconds of the sweep, of the proof and of the whole flow, rows a second, and
                                 the users' 99th percentile in quiet times and in each stage of the flow
    peak_memory_mb               of the flow's process, by rows
    quiet_p99_ms, sweep_p99_ms   what the difference above is of, and the median beside it
    rival_rows_per_second        pages by primary key and `executemany` (bench/keys_rival.py), the same rows and users;
    rival_p99_added_ms           what the users feel of that
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.goals import conclude
from bench.ground import Ground, progress
from bench.keys_rival import rewrite
from demo.customers.checking import check_writes
from demo.customers.seeding import seed_customers
from demo.customers.traffic import Traffic, live_traffic
from replica.servers.keyvault import client_id
from steward.clients.keyring_rotation import open_rotating_keyring
from steward.clients.keyvault import open_vault
from steward.clients.postgres import application_database, connect
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import StewardError
from steward.fieldcrypt.keyring import State
from steward.migrations.apply import migrate, migrate_keyring

SERVERS = ("postgres", "s3", "keyvault", "prefect")
SIZES = (0.1, 0.3, 1.0)
#: Quiet times before and after a sweep.
QUIET_SECONDS = 30.0
GOALS = {"live_p99_added_ms": 5.0, "failed_operations": 0, "lost_writes": 0, "vault_calls_per_tenant": 2.0}
LEAST = {"reencrypt_rows_per_second": 10_000}
FLOW = """
import sys
from flows.monthly_key_rotation import monthly_key_rotation
from steward.keys.request import RotationRequest
report = monthly_key_rotation(RotationRequest(reason="offboarding", because="bench", readers_seconds=120))
open(sys.argv[1], "w").write(report.model_dump_json())
"""


class RotationFailed(StewardError):
    """The flow did not end VERIFIED: its figures would be of something else."""


@dataclass
class Figures:
    """What was measured so far."""

    growth: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    memory: dict[str, float] = field(default_factory=dict[str, float])
    told: dict[str, Any] = field(default_factory=dict[str, Any])
    failed: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    lost: int = 0
    acknowledged: int = 0

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            **self.told,
            "failed_operations": self.failed,
            "lost_writes": self.lost,
            "acknowledged_writes": self.acknowledged,
            "growth": self.growth,
            "peak_memory_mb": self.memory,
            **({"failures": self.failures} if self.failures else {}),
        }

    def count(self, traffic: Traffic) -> None:
        """What became of the users' requests."""
        summary = traffic.summary()
        self.failed += summary["failed"]
        for reason, times in summary["failures"].items():
            self.failures[reason] = self.failures.get(reason, 0) + times


def measure(at: Ground, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of the parts that were asked for."""
    os.environ.update(at.environment)
    migrate(at.settings)
    migrate_keyring(at.settings)
    figures = Figures()
    if "rotation" in options.only:
        for share in SIZES:
            _rotate(at, options, int(share * options.rows), figures)
    if "rival" in options.only:
        _rival(at, options, int(SIZES[0] * options.rows), figures)
    return figures.as_json()


def _rotate(at: Ground, options: argparse.Namespace, rows: int, figures: Figures) -> None:
    progress(f"seeding {rows:,} rows of {options.tenants} tenants")
    tenants = seed_customers(at.settings, options.tenants, rows)
    calls = _calls(at)
    with tempfile.TemporaryDirectory(prefix="steward-bench-keys-") as folder:
        with live_traffic(_file(at), at.settings, Path(folder), tenants, rate=options.rate) as traffic:
            before = time.time()
            time.sleep(QUIET_SECONDS)
            progress(f"rotating {rows:,} rows")
            report, peak = _flow(at, Path(folder))
            time.sleep(QUIET_SECONDS)
            after = time.time()
        since, until = _sweep_times(at, report)
        # Not what lies between: the flow's start, and readers that take up every tenant's new keys.
        quiet = [traffic.summary(before, before + QUIET_SECONDS), traffic.summary(after - QUIET_SECONDS, after)]
        sweep, by_stage = traffic.summary(since, until), dict(_p99_by_stage(traffic, report))
        figures.count(traffic)
        checked = check_writes(at.settings, traffic.log)
    swept = report["sweeps"][0]
    figures.acknowledged += checked.acknowledged
    figures.lost += len(checked.lost) + len(checked.unreadable) + len(checked.unfound)
    per_second = swept["replaced_here"] / swept["seconds"]
    stages = {stage["name"]: stage["seconds"] for stage in report["stages"]}
    figures.growth[str(rows)] = {
        "sweep_seconds": round(swept["seconds"], 1),
        "proof_seconds": round(stages["proof"], 1),
        "flow_seconds": round(sum(stages.values()), 1),
        "rows_per_second": round(per_second),
        "resting_seconds": round(swept["resting_seconds"], 1),
        "p99_ms": {"quiet": _felt(quiet, sweep)["quiet_p99_ms"], **by_stage},
    }
    figures.memory[str(rows)] = round(peak)
    figures.told |= _felt(quiet, sweep) | {"reencrypt_rows_per_second": round(per_second)}
    made = _calls(at) - calls
    figures.told["vault_calls_per_tenant"] = round(made / report["tenants"], 3)
    figures.told["vault_calls_besides"] = made - 2 * report["tenants"]
    progress(f"{rows:,} rows: {figures.growth[str(rows)]}")


def _p99_by_stage(traffic: Traffic, report: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """What users felt in each stage of the flow, which follow one another."""
    began = datetime.fromisoformat(report["started_at"]).timestamp()
    for stage in report["stages"]:
        until = began + stage["seconds"]
        if times := traffic.summary(began, until)["milliseconds"].get("all"):
            yield stage["name"], round(times["p99"], 1)
        began = until


def _felt(quiet: list[dict[str, Any]], during: dict[str, Any]) -> dict[str, float]:
    p99, p50 = (_mean([each["milliseconds"]["all"][name] for each in quiet]) for name in ("p99", "p50"))
    told = during["milliseconds"]["all"]
    return {
        "live_p99_added_ms": round(told["p99"] - p99, 2),
        "quiet_p99_ms": round(p99, 2),
        "sweep_p99_ms": round(told["p99"], 2),
        "quiet_p50_ms": round(p50, 2),
        "sweep_p50_ms": round(told["p50"], 2),
        "requests_during_the_sweep": during["requests"],
    }


def _flow(at: Ground, folder: Path) -> tuple[dict[str, Any], float]:
    """The report, and the process's peak resident memory in MB."""
    told, log = folder / "report.json", folder / "flow.log"
    environment = {**os.environ, **at.environment, "PREFECT_HOME": str(folder / "prefect-home")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", FLOW, str(told)], env=environment, stdout=output, stderr=output
        )
        # wait4 tells this child's own peak; getrusage would tell the largest of all children.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = log.read_text(errors="replace").splitlines()[-15:]
        raise RotationFailed("\n".join([f"the flow ended with status {process.returncode}:", *last]))
    return json.loads(told.read_text()), usage.ru_maxrss / 1024


def _sweep_times(at: Ground, report: dict[str, Any]) -> tuple[float, float]:
    """Unix times of the sweep's first and last part."""
    query = (
        "SELECT extract(epoch FROM min(done_at - make_interval(secs => seconds)))::float8, "
        "extract(epoch FROM max(done_at))::float8 FROM steward.key_sweep_parts p "
        "JOIN steward.operations o ON o.id = p.operation_id WHERE o.period = %s"
    )
    with connect(at.settings) as connection:
        return next(iter(connection.execute(query, [report["period"]]).fetchall()))


def _calls(at: Ground) -> int:
    """Requests about keys that the vault has logged under Steward's name."""
    steward, log = client_id("steward"), at.logs.parent / "keyvault" / "vault" / "audit.log"
    lines = map(json.loads, log.read_text().splitlines())
    return sum(line["operationName"].startswith("Key") and steward in json.dumps(line["identity"]) for line in lines)


def _rival(at: Ground, options: argparse.Namespace, rows: int, figures: Figures) -> None:
    """On the rows that are there, for as long as it takes for *rows* of them: new keys by Steward's own means first."""
    assert at.settings.vault is not None
    assert at.settings.keyring is not None
    tenants = seed_customers(at.settings, options.tenants, rows)
    with tempfile.TemporaryDirectory(prefix="steward-bench-keys-") as folder:
        with live_traffic(_file(at), at.settings, Path(folder), tenants, rate=options.rate) as traffic:
            before = time.time()
            time.sleep(QUIET_SECONDS)
            current = _switch(at)
            since = time.time()
            with open_tenant_keys(at.settings.vault, at.settings.keyring) as keys:
                for tenant in current:
                    keys.of(tenant)
                came_to = rewrite(application_database(at.settings, "customers"), keys, current)
            until = time.time()
        quiet, during = traffic.summary(before, since - 1), traffic.summary(since, until)
        figures.count(traffic)
    figures.told["rival_rows_per_second"] = round(came_to.rows / came_to.seconds)
    figures.told["rival_p99_added_ms"] = _felt([quiet], during)["live_p99_added_ms"]
    progress(f"rival: {came_to.rows:,} rows in {came_to.seconds:.1f} s")


def _switch(at: Ground) -> dict[str, int]:
    """A new current key for every tenant, taken up by everybody."""
    assert at.settings.vault is not None
    assert at.settings.keyring is not None
    with open_vault(at.settings.vault) as vault, open_rotating_keyring(at.settings.keyring) as keyring:
        names, current = keyring.tenants(), dict[str, int]()
        for tenant in names:
            added = keyring.add_generation(tenant, vault)
            current[tenant] = next(each.key_id for each in added.generations if each.state is State.INCOMING)
        _await(keyring)
        for tenant, key in current.items():
            keyring.switch(tenant, key)
        _await(keyring)
    return current


def _await(keyring: Any) -> None:
    epoch = keyring.epoch()
    while keyring.lagging(epoch):
        time.sleep(0.5)


def _file(at: Ground) -> Path:
    return Path(at.environment["STEWARD_SETTINGS"])


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 2)


def main(arguments: list[str]) -> int:
    """As `conclude` says."""
    options = _parser().parse_args(arguments)
    return conclude(SERVERS, lambda at: measure(at, options), GOALS, LEAST)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.keys", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the largest run")
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second of the live users")
    parser.add_argument("--only", nargs="+", choices=("rotation", "rival"), default=["rotation", "rival"])
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
