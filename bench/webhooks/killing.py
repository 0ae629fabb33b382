"""Who is killed, and when: by the seed, one after the other, each back before the next."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import httpx

from bench.ground import Ground, progress
from bench.webhooks.laying import Service
from replica import faults, start
from replica.servers import SERVERS
from steward.clients.postgres import connect
from steward.errors import StewardError

OUTAGE_SECONDS = 65.0
_PAUSE_SECONDS = (4.0, 10.0)
_BACK_SECONDS = 120.0
_OUTAGE = "outage"


class NotBack(StewardError):
    """A server that was killed did not come back: the rest would measure its absence."""


def schedule(
    chance: random.Random, victims: Sequence[str], rounds: int, *, outage: bool
) -> Iterator[tuple[float, str]]:
    """(pause before, victim): each once a round, in an order of chance; Prefect's long *outage* is in the middle."""
    for number in range(rounds):
        for victim in chance.sample(victims, len(victims)):
            yield chance.uniform(*_PAUSE_SECONDS), victim
        if outage and number == (rounds - 1) // 2:
            yield chance.uniform(*_PAUSE_SECONDS), _OUTAGE


class Killing:
    """A thread of it."""

    def __init__(self, at: Ground, services: Sequence[Service], plan: Sequence[tuple[float, str]]) -> None:
        self._at, self._state, self._plan = at, at.logs.parent, plan
        self._services = {each.name: each for each in services}
        self._thread = threading.Thread(target=self._run, name="killing", daemon=True)
        self._failed: Exception | None = None
        self.kills = Counter[str]()

    def start(self) -> None:
        """Not waited for."""
        self._thread.start()

    def end(self) -> None:
        """Once all of the plan was done. Raises whatever kept it from that."""
        self._thread.join()
        if self._failed:
            raise self._failed

    def _run(self) -> None:
        try:
            for pause, victim in self._plan:
                time.sleep(pause)
                began = time.monotonic()
                self._kill(victim)
                progress(f"  killed: {victim}, back after {time.monotonic() - began:.1f} s")
        except Exception as error:  # noqa: BLE001  handed to whoever waits for the end
            self._failed = error

    def _kill(self, victim: str) -> None:
        if victim == _OUTAGE:
            self.kills["prefect"] += 1
            faults.kill(self._state, "prefect")
            time.sleep(OUTAGE_SECONDS)
            start.up(self._state, SERVERS, ["prefect"], say=lambda _: None)
            return
        self.kills[victim] += 1
        if service := self._services.get(victim):
            service.kill()
            service.start()
        else:
            faults.kill(self._state, victim, restart=True)
            await_back(self._at, victim)


def await_back(at: Ground, server: str) -> None:
    """Until PostgreSQL or Prefect answers again. Raises NotBack."""
    until = time.monotonic() + _BACK_SECONDS
    while not (_database_answers(at) if server == "postgres" else _prefect_answers(at)):
        if time.monotonic() > until:
            raise NotBack(f"{server} does not answer {_BACK_SECONDS:g} s after it was killed")
        time.sleep(0.2)


def _database_answers(at: Ground) -> bool:
    try:
        with connect(at.settings) as db:
            db.execute("SELECT 1")
    except StewardError:
        return False
    return True


def _prefect_answers(at: Ground) -> bool:
    user, _, password = at.environment["PREFECT_API_AUTH_STRING"].partition(":")
    try:
        # Reads the database: /health is answered before that can be.
        url = f"{at.environment['PREFECT_API_URL']}/csrf-token?client=bench-is-it-back"
        return httpx.get(url, auth=(user, password), timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
