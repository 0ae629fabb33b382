"""What SDKs gave their users, and what stood on record meanwhile: seen from processes and connections of the drill's own."""

import bisect
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from replica import inventory
from steward.errors import StewardError
from steward.flags.buckets import bucket
from steward.flags.node import node_program
from tests.integration.fresh_database import superuser

ROOT = Path(__file__).parents[3]
MODULES = ROOT / "deployments" / "flags" / "agreement"
USERS = 40
_SAMPLE_SECONDS = 0.15


def users_of(flag):
    """So many, one of each part of the buckets, in their order: at 25 % the first fourth is exposed."""
    found, number = {}, 0
    while len(found) < USERS:
        user = f"seen-{number}"
        found.setdefault(bucket(flag, user, USERS), user)
        number += 1
    return [found[part] for part in sorted(found)]


class Tick(NamedTuple):
    """Who got the flag at one moment, by one SDK: a digit for each user."""

    at: float
    got: str


class Observers:
    """One application in Python and one in Node, each a process."""

    def __init__(self, folder) -> None:
        self.files = {name: folder / f"{name}.seen" for name in ("python", "node")}

    def ticks(self, since):
        """By SDK, those since then."""
        return {name: _since(path, since) for name, path in self.files.items()}

    def see_nobody(self):
        """Whether both have looked of late, and nobody was exposed."""
        return all(ticks and "1" not in ticks[-1].got for ticks in self.ticks(time.time() - 1).values())


def _since(path, since):
    # From the end: a drill of hours has long files.
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4_000_000))
        lines = file.read().decode().splitlines()
    found = [line.split() for line in lines if line.count(" ") == 1]
    ticks = [Tick(float(at), got) for at, got in found if len(got) == USERS]
    return ticks[bisect.bisect_left(ticks, since, key=lambda tick: tick.at) :]


@contextmanager
def observing(replica, settings, flag, folder):
    """Both of them, while the block lasts."""
    observers, users = Observers(folder), json.dumps(users_of(flag))
    for path in observers.files.values():
        path.touch()
    python = [sys.executable, "-m", "tests.drills.rollout.observer", flag, users, str(observers.files["python"])]
    node = [node_program(), str(Path(__file__).with_name("observer.mjs")), str(MODULES), settings.flags.sync]
    node += [str(settings.flags.ca_file), flag, users, str(observers.files["node"])]
    environment = {**os.environ, **inventory.environment(replica)}
    with (folder / "observers.log").open("ab") as log:
        processes = [subprocess.Popen(each, cwd=ROOT, env=environment, stderr=log) for each in (python, node)]
    try:
        yield observers
    finally:
        for process in processes:
            process.kill()
            process.wait()


class Sample(NamedTuple):
    """What stood on record at one moment."""

    at: float
    operation: str
    verdict: str | None
    attempt: int
    rollout: int | None
    state: str | None
    step: int | None
    exposure: int | None
    epoch: int | None
    lease_until: float | None


class Record(threading.Thread):
    """Reads the rows of one rollout again and again; a database that is away is asked again."""

    def __init__(self, settings, period) -> None:
        super().__init__(daemon=True, name="record")
        self._settings, self._period = settings, period
        self._over = threading.Event()
        self.samples = []

    def run(self):
        while not self._over.is_set():
            try:
                with superuser(self._settings, "steward") as db:
                    while not self._over.wait(_SAMPLE_SECONDS):
                        rows = db.execute(_RECORD, {"period": self._period}).fetchall()
                        self.samples += [Sample(time.time(), *row) for row in rows]
            except (psycopg.Error, StewardError):
                self._over.wait(_SAMPLE_SECONDS)

    def stop(self):
        self._over.set()
        self.join(10)

    @property
    def last(self):
        return self.samples[-1] if self.samples else None


_RECORD = """
SELECT o.state, o.verdict, o.attempt, r.id, r.state, r.step, r.exposure, r.epoch, extract(epoch FROM r.lease_until)::float8
  FROM steward.operations o LEFT JOIN steward.rollouts r ON r.operation_id = o.id
 WHERE o.name = 'production-rollout' AND o.period = %(period)s
"""
