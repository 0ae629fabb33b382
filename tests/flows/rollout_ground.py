"""Ground for rollouts: the shop behind HAProxy with users, its flag at nobody, and plans that are decided within seconds."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from demo.shop.users import Load, coming
from steward.clients.application_host import open_application_host
from steward.clients.flag_errors import NoSuchFlag
from steward.clients.flag_store import StoredFlag, change_flag, kill_flag, read_flag
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts import newest
from steward.flags.model import Flag, Split
from steward.rollout.gates import GatesNeeded
from steward.rollout.plan import Guard, Metric, Must, Plan
from steward.rollout.record import Rollout
from steward.rollout.request import RolloutRequest
from steward.settings import Settings

FLAG, ENVIRONMENT, LIVE = "new-search", "production", "steady"
#: What stands on the ground of the rollout: who listens, and who serves.
SERVERS = ("shop", "haproxy", "prometheus")
SLOW = Metric(name="slow", tolerance=1, bad_ratio=20, slo=0.3)
ERROR = Metric(name="error", slo=0.03)
HEALTH = Guard(name="health", must=Must.AT_LEAST, bound=1)


def plan(**fields: Any) -> Plan:
    """Half of the users at once, compared by one metric that a hundred users decide."""
    chosen: dict[str, Any] = {
        "steps": (50, 100),
        "minimum_seconds": 1,
        "minimum_users": 20,
        "deadline_seconds": 300,
        "blind_seconds": 60,
        "stale_seconds": 15,
        "look_seconds": 1,
        "bake_seconds": 2,
        "lease_seconds": 30,
        "renew_seconds": 2,
        "beta": 0.2,
        "metrics": (SLOW,),
        "guards": (HEALTH,),
    }
    return Plan(**{**chosen, **fields})


def request(release: str = "good", **fields: Any) -> RolloutRequest:
    """Without gates: the pipeline that proves them is not here."""
    return RolloutRequest(
        **{"release": release, "flag": FLAG, "gates": GatesNeeded(gates=()), "plan": plan(), **fields}
    )


def lay(settings: Settings) -> None:
    """The steady release has the traffic, on blue, and nobody is exposed to anything."""
    with open_application_host(settings, ENVIRONMENT) as host:
        host.place("blue", LIVE)
    balancer = open_balancer(settings, ENVIRONMENT)
    balancer.wait_up("blue", 20)
    balancer.direct("blue")
    expose_nobody(settings)


def expose_nobody(settings: Settings) -> None:
    """The flag is alive and at 0 %, whatever the last rollout left."""
    with connect(settings) as db:
        try:
            stored = read_flag(db, FLAG)
        except NoSuchFlag:
            variants = {"on": True, "off": False}
            flag = Flag(key=FLAG, variants=variants, off="off", split=Split.percentage("on", 0, "off"))
            change_flag(db, flag, who="a test", why="laid", expected_version=0)
            return
        # Killed first: a split that shrank would be refused.
        kill_flag(db, FLAG, who="a test", why="laid anew")
        killed = read_flag(db, FLAG)
        flag = stored.flag.changed(killed=False, lease_until=None, metadata={}).withdrawn()
        change_flag(db, flag, who="a test", why="laid anew", expected_version=killed.version)


@contextmanager
def users(settings: Settings, rate: float = 8) -> Generator[None]:
    """Who come through the load balancer while the block lasts."""
    url = settings.balancer(ENVIRONMENT).url
    with coming(Load(url=url, rate=rate, seconds=600, think_seconds=0.2)):
        yield


def flag_now(settings: Settings) -> StoredFlag:
    with connect(settings) as db:
        return read_flag(db, FLAG)


def last_rollout(settings: Settings) -> Rollout | None:
    with connect(settings) as db:
        return next(iter(newest(db, ENVIRONMENT, 1)), None)


def live(settings: Settings) -> list[str]:
    """The colours that have the traffic."""
    return [each.name for each in open_balancer(settings, ENVIRONMENT).servers() if each.serves]
