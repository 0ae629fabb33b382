"""The workers of a drill, begun, killed and begun again, each on the port that it had."""

import json
import os
import random
import re
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from replica import ports
from replica.server import python
from replica.state import checkout
from tests.drills.gateway import cases

_UP_SECONDS = 60
#: As a supervisor leaves between two starts of one that could not.
_AGAIN_SECONDS = 2.0


@dataclass
class Worker:
    """A process, and the next one in its place."""

    name: str
    port: int
    process: psutil.Process | None = None
    was_up: bool = False
    """This process of it."""
    begun_at: float = 0.0

    @property
    def is_alive(self):
        with suppress(psutil.NoSuchProcess):
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        return False

    def answers(self):
        self.was_up = bool(self.get("/healthz"))
        return self.was_up

    def get(self, path):
        """Its answer; nothing where it gave none. By the plainest client: users and ways share this process's time."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == HTTPStatus.OK else ""
        except (OSError, HTTPException):
            return ""
        finally:
            connection.close()

    @property
    def scores(self):
        """By route, what it thinks of it."""
        told = self.get("/metrics")
        return {
            name: float(score)
            for name, score in re.findall(r'^steward_ai_route_score{route="(.*)"} (.*)$', told, re.MULTILINE)
        }


@dataclass
class Workers:
    """All of them."""

    all: list
    window_seconds: int
    folder: Path
    nursery: subprocess.Popen
    """Makes them."""
    chance: random.Random
    kills: list = field(default_factory=list)
    """(name, Unix times between which it was killed)."""
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, worker):
        """Another process in the place of *worker*, whose clock may be wrong."""
        told = {
            "skew_seconds": cases.skew(self.chance),
            "window_seconds": self.window_seconds,
            "log": str(self._log(worker)),
            "arguments": [
                *("serve", "--port", str(worker.port)),
                *("--name", worker.name, "--workers", str(len(self.all))),
            ],
        }
        with self._asking:
            self.nursery.stdin.write(json.dumps(told) + "\n")
            self.nursery.stdin.flush()
            worker.process = psutil.Process(int(self.nursery.stdout.readline()))
        worker.was_up, worker.begun_at = False, time.monotonic()

    def kill(self, workers):
        """SIGKILL, all of *workers* at once."""
        began = time.time()
        for worker in workers:
            worker.process.kill()
        psutil.wait_procs([worker.process for worker in workers])
        self.kills += [(worker.name, began, time.time()) for worker in workers]

    def await_up(self):
        """All of them answer. As a supervisor does: in the place of one that could not start another one is begun.

        The last words of those that ended of themselves after they had been up.
        """
        died, deadline = [], time.monotonic() + _UP_SECONDS
        while True:
            waiting = [worker for worker in self.all if not (worker.is_alive and (worker.was_up or worker.answers()))]
            for worker in waiting:
                if not worker.is_alive and time.monotonic() > worker.begun_at + _AGAIN_SECONDS:
                    died += [self.last_words(worker)] if worker.was_up else []
                    self.begin(worker)
            if not waiting:
                return died
            assert time.monotonic() < deadline, f"it does not answer: {self.last_words(waiting[0])}"
            time.sleep(0.2)

    def last_words(self, worker):
        return f"{worker.name}: {self._log(worker).read_text(errors='replace')[-2000:]}"

    def _log(self, worker):
        return self.folder / f"{worker.name}.log"


@contextmanager
def begun(settings_file, number, window_seconds, chance):
    """As many as *number*, which end with the block."""
    chosen = ports.choose([f"gateway-{each}" for each in range(number)], {})
    with _nursery(settings_file) as nursery:
        workers = Workers(
            [Worker(name, port) for name, port in chosen.items()], window_seconds, settings_file.parent, nursery, chance
        )
        for worker in workers.all:
            workers.begin(worker)
        yield workers


@contextmanager
def _nursery(settings_file):
    """Workers end with it."""
    command = [python(), "-m", "tests.drills.gateway.worker"]
    environment = {**os.environ, "STEWARD_SETTINGS": str(settings_file)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout()
    ) as nursery:
        try:
            yield nursery
        finally:
            nursery.kill()
