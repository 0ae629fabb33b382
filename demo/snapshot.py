"""A night on one machine: real documents of real tenants, written to while the night's snapshot is taken and proved.

What an operator does by hand, in the same order and by the same ways: migrate, deploy, provision, onboard; then the
tenants' data and traffic; then one run of the deployment `nightly-snapshot`, whose certificate ends the output.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from prefect.client.schemas.objects import FlowRun

from demo import oplog
from demo.acts import closing, prepare, read_certificate, run, say, timed, verdict_in
from demo.seeding import Seeded, seed
from demo.stage import Stage
from demo.tenants import Tenant
from steward.errors import StewardError
from steward.verdicts import Verdict

PROVISION = "provision-search/provision-search"
NIGHT = "nightly-snapshot/nightly-snapshot"
CERTIFICATE = "snapshot-certificate"
FIRST_WRITE_SECONDS = 60


class WritersSilent(StewardError):
    """The tenants' traffic did not begin."""

    def __init__(self, log: Path) -> None:
        super().__init__("no write was acknowledged", hint=f"read {log}")


def play(stage: Stage, tenants: list[Tenant], documents: int, rate: float, seconds: float) -> Verdict:
    """The whole of it; the night's verdict, its certificate printed last."""
    prepare(stage)
    provision(stage)
    onboard(stage, tenants)
    fill(stage, tenants, documents)
    with traffic(stage, len(tenants), rate, seconds) as log:
        began = time.time()
        ended = night(stage)
        writes = acknowledged(log, began)
    say(f"{writes:,} writes acknowledged while it ran")
    certificate = read_certificate(stage, ended, CERTIFICATE)
    print(closing(stage, certificate))
    return verdict_in(certificate)


def provision(stage: Stage) -> None:
    """The search cluster as it is described."""
    with timed("search provisioned"):
        run(stage, PROVISION, {"request": {"apply": True}})


def onboard(stage: Stage, tenants: Iterable[Tenant]) -> None:
    """An index, an alias and a role for each tenant."""
    names = [tenant.name for tenant in tenants]
    with timed(f"{len(names)} tenants onboarded"):
        # In one process: a run of the deployment for each would spend its time on starting processes.
        for line in stage.shell.lines("onboard", sys.executable, "-m", "demo", "onboard", *names):
            say(line)


def fill(stage: Stage, tenants: list[Tenant], documents: int) -> Seeded:
    """The tenants' documents."""
    done = seed(stage.settings, tenants, documents, progress)
    say(f"{done.created:,} documents created, {done.present:,} were there; {done.seconds:.1f} s")
    return done


def progress(documents: int) -> None:
    """Every 5,000 documents, a line."""
    if documents % 5_000 == 0:
        say(f"  {documents:,} documents are there")


@contextmanager
def traffic(stage: Stage, tenants: int, rate: float, seconds: float) -> Generator[Path]:
    """Live writes beside the block, by a process of its own that ends by itself should this one be killed."""
    log = stage.shell.logs / "demo-writes.jsonl"
    options = ["--tenants", str(tenants), "--rate", f"{rate:g}", "--seconds", f"{seconds:g}", "--log", str(log)]
    process = stage.shell.detached("writers", sys.executable, "-m", "demo", "writers", *options)
    say(f"{tenants} tenants write {rate:g} times a second (process {process.pid}, ends by itself in {seconds:g} s)")
    try:
        await_writes(stage, process, log)
        yield log
    finally:
        end(process)


def await_writes(stage: Stage, process: subprocess.Popen[str], log: Path) -> None:
    """Until new writes are acknowledged: a night without traffic would show less than the demo claims."""
    began = time.time()
    while not (log.exists() and acknowledged(log, began)):
        if process.poll() is not None or time.time() - began > FIRST_WRITE_SECONDS:
            raise WritersSilent(stage.shell.log("writers"))
        time.sleep(0.2)


def end(process: subprocess.Popen[str]) -> None:
    """Let the writers finish what they have sent."""
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def night(stage: Stage) -> FlowRun:
    """One run of `nightly-snapshot`, whatever it ends as."""
    with timed("night ended"):
        return run(stage, NIGHT, {"policy": {}}, must_complete=False)


def acknowledged(log: Path, since: float) -> int:
    """Writes that the cluster confirmed after *since* (Unix time)."""
    return sum(entry.outcome == "acknowledged" and entry.answered >= since for entry in oplog.read(log))
