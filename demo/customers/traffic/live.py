"""Traffic beside a block of code, begun before the block and ended after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from demo.customers import writelog
from demo.customers.deployment import Served, deployment, serving
from demo.customers.parent import as_parent
from demo.customers.traffic import measures
from demo.customers.traffic.arrivals import Arrivals
from demo.customers.traffic.direct import DirectAsking
from demo.customers.traffic.driver import Driver
from demo.customers.traffic.known import Rows, sample
from demo.customers.traffic.measures import Measures
from demo.customers.users import application_keys, database, owner
from demo.customers.writelog import WriteLog
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import StewardError
from steward.fieldcrypt.keyset import Keys
from steward.settings import VARIABLE, Settings

RATE = 40.0
USERS = 16
#: It ends by itself after this time, whatever becomes of who started it.
SECONDS = 3600.0
_FIRST_ANSWER_SECONDS = 60
_LAST_ANSWER_SECONDS = 45


class TrafficSilent(StewardError):
    """No request was answered."""

    def __init__(self, log: Path) -> None:
        super().__init__("the users' first request was not answered", hint=f"read {log}")


@dataclass(frozen=True)
class Traffic:
    """What it leaves in *folder*, to be read while it runs and afterwards."""

    folder: Path
    served: Sequence[Served] = ()
    """The application's processes; none where the users go straight to the database."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    """The users', where they are one of their own."""

    @property
    def log(self) -> Path:
        """Every write and what became of it: what `check_writes` reads."""
        return self.folder / "writes.jsonl"

    @property
    def times(self) -> Path:
        """One line a request; demo/customers/traffic/measures.py reads it."""
        return self.folder / "times.jsonl"

    def summary(self, since: float = 0.0, until: float = float("inf")) -> dict[str, Any]:
        """Of requests that were due in this time (Unix): how many, what failed, percentiles in milliseconds by kind."""
        return measures.summary(measures.between(measures.read(self.times), since, until))

    def acknowledged(self, since: float = 0.0, until: float = float("inf")) -> int:
        """Writes that were acknowledged in this time."""
        return sum(write.event == "acknowledged" and since <= write.at < until for write in writelog.read(self.log))


@contextmanager
def live_traffic(
    settings_file: Path,
    settings: Settings,
    folder: Path,
    tenants: Collection[str],
    *,
    rate: float = RATE,
    seconds: float = SECONDS,
    users: int = USERS,
    applications: int = 1,
    seed: int = 0,
) -> Generator[Traffic]:
    """The application in *applications* processes, and users in one of their own: what is measured shares no interpreter.

    *folder* takes logs, times, and the application's secret. The block begins when a request has been answered; on
    leaving it, every request that was sent has been. Raises TrafficSilent.
    """
    _fresh(folder)
    told = deployment(settings, folder / "secrets")
    with ExitStack() as stack:
        served = [stack.enter_context(serving(told, folder / f"application-{n}.log")) for n in range(applications)]
        options = {"rate": rate, "seconds": seconds, "users": users, "seed": seed}
        command = [sys.executable, "-m", "demo.customers.traffic", "--folder", str(folder)]
        command += [word for name, value in options.items() for word in (f"--{name}", f"{value:g}")]
        command += [word for each in served for word in ("--url", each.url)]
        command += ["--tenants", ",".join(tenants)]
        with _process(command, settings_file, folder / "users.log") as process:
            traffic = Traffic(folder, served, process)
            _await_answers(traffic, process)
            yield traffic


@contextmanager
def direct_traffic(
    settings: Settings,
    folder: Path,
    tenants: Collection[str],
    *,
    keys: Keys | None = None,
    rate: float = RATE,
    seconds: float = SECONDS,
    users: int = 4,
    seed: int = 0,
) -> Generator[Traffic]:
    """Users in threads of this process, straight at the database with *keys* (absent: keys of their own): up in a moment.

    A database that is away fails their requests, and they go on when it is back.
    """
    _fresh(folder)
    stop = Event()
    with ExitStack() as stack:
        if keys is None:
            keys = stack.enter_context(open_tenant_keys(*application_keys(settings)))
        target = database(owner(settings), settings)
        driver = stack.enter_context(driving(folder, sample(settings, tenants), stop, seed))
        asking = [DirectAsking(target, keys) for _ in range(users)]
        pool = stack.enter_context(ThreadPoolExecutor(1, "traffic"))
        done = pool.submit(driver.drive, asking, Arrivals(rate, seconds, seed))
        try:
            yield Traffic(folder)
        finally:
            stop.set()
        done.result()


@contextmanager
def driving(folder: Path, rows: Rows, stop: Event, seed: int) -> Generator[Driver]:
    """Users who leave what they did in *folder*."""
    at = Traffic(folder)
    with WriteLog(at.log) as log, Measures(at.times) as times:
        yield Driver(rows, log, times, stop, seed)


def _fresh(folder: Path) -> None:
    """Of an earlier traffic nothing is left that this one's would be taken for."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (Traffic(folder).log, Traffic(folder).times):
        path.unlink(missing_ok=True)


@contextmanager
def _process(command: list[str], settings_file: Path, output: Path) -> Generator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **as_parent(), VARIABLE: str(settings_file)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_LAST_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answers(traffic: Traffic, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _FIRST_ANSWER_SECONDS
    while not (traffic.times.exists() and any(each.failed is None for each in measures.read(traffic.times))):
        if process.poll() is not None or time.monotonic() > end:
            raise TrafficSilent(traffic.folder / "users.log")
        time.sleep(0.05)
