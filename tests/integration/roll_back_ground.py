"""One environment after another on the same two colours of the shop, each with rollouts of its own on record."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from replica import inventory, start, stop
from replica.server import Place
from replica.servers import SERVERS
from steward.clients import rollouts
from steward.clients.answering import ask_who_answers
from steward.clients.application_host import ApplicationHost, open_application_host
from steward.clients.flag_store import read_flag
from steward.clients.haproxy import LoadBalancer, open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts_releases import note_certified, note_placed
from steward.rollout.plan import Plan
from steward.rollout.record import Rollout
from steward.rollout.returning import By
from steward.settings import Settings, load
from tests.integration.flags_ground import flags_database, new_flag, stored

BEFORE, AFTER = "blue", "green"
WAIT_SECONDS = 60
MARA = By(who="mara", why="users see errors", via="test")
_operations = itertools.count(secrets.randbelow(1 << 30) + 1)


@dataclass
class Ground:
    """An environment that nobody else has."""

    settings: Settings
    environment: str
    host: ApplicationHost
    balancer: LoadBalancer

    def begin(self) -> None:
        """`steady` is up, and `good` has the traffic."""
        self.runs(**{BEFORE: "steady", AFTER: "good"})
        self.live(AFTER)

    def runs(self, **releases: str) -> None:
        """Put releases on colours, and wait until users could be sent there."""
        for colour, release in releases.items():
            self.balancer.drain(colour)
            if self.host.place(colour, release).healthy:
                self.balancer.wait_up(colour, WAIT_SECONDS)

    def live(self, colour: str) -> None:
        self.balancer.wait_up(colour, WAIT_SECONDS)
        self.balancer.direct(colour)

    def begun(self, release: str, colour: str = AFTER) -> Rollout:
        """A rollout of *release* that exposes users, by a flag of its own."""
        flag, other = new_flag(), AFTER if colour == BEFORE else BEFORE
        stored(self.settings, flag)
        with connect(self.settings) as db:
            rollout = rollouts.begin(
                db,
                operation_id=next(_operations),
                epoch=7,
                environment=self.environment,
                release=release,
                flag=flag.key,
                variant="on",
                plan=Plan(),
                colours=(colour, other),
                previous_release=self.host.colour(other).release,
            )
            note_placed(db, rollout)
            db.execute(
                "UPDATE steward.rollouts SET state = 'exposing', step = 1, exposure = 5 WHERE id = %s", [rollout.id]
            )
            return rollouts.read(db, rollout.id)

    def certified(self, release: str, colour: str = AFTER) -> Rollout:
        """A rollout of *release* that has ended well."""
        rollout = self.begun(release, colour)
        with connect(self.settings) as db:
            certify(db, rollout)
        return rollout

    def answer(self, requests: int = 20) -> dict[str, int]:
        """By release; nothing fails."""
        answers = ask_who_answers(self.settings, self.environment, requests)
        assert answers.failed == {}
        return answers.by

    def is_off(self, rollout: Rollout) -> bool:
        with connect(self.settings) as db:
            return read_flag(db, rollout.flag).flag.killed

    def rows(self, query: str, *values: object) -> list[tuple]:
        with connect(self.settings) as db:
            return db.execute(query, values or [self.environment]).fetchall()


def certify(db, rollout: Rollout) -> None:
    db.execute(
        "UPDATE steward.rollouts SET state = 'certified', exposure = 100, ended_at = clock_timestamp() WHERE id = %s",
        [rollout.id],
    )
    note_certified(db, rollout, None)


@contextmanager
def serving(replica: Place) -> Generator[Settings]:
    """The shop and its load balancer, and a database that has no rollouts yet."""
    start.up(replica.state, SERVERS, ["shop", "haproxy"])
    try:
        with flags_database(load(inventory.settings_file(replica))) as fresh:
            yield fresh
    finally:
        stop.down(replica.state, SERVERS, ["shop", "haproxy"])


@contextmanager
def ground(settings: Settings) -> Generator[Ground]:
    """On *settings*' servers and database."""
    environment = f"production-{secrets.token_hex(4)}"
    own = settings.model_copy(
        update={
            "balancers": {environment: settings.balancer("production")},
            "application_hosts": {environment: settings.application_host("production")},
        }
    )
    with open_application_host(own, environment) as host:
        yield Ground(own, environment, host, open_balancer(own, environment))


def eventually(condition):
    """What it gives once it is true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
