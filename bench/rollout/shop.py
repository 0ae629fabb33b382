"""The sample shop as a bench needs it: one release live, and users who hold it to what it has in store for them."""

from __future__ import annotations

import threading
from http import HTTPStatus

from demo.shop import releases
from demo.shop.counts import Counts
from demo.shop.fates import errs
from demo.shop.visits import Answer
from steward.clients.application_host import open_application_host
from steward.clients.flag_store import change_flag
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.flags.model import Flag, Split
from steward.settings import Settings

ENVIRONMENT, STEADY, ERRING = "production", "steady", "erring"
_UP_SECONDS = 60.0


class HeldToIt(Counts):
    """Besides: what failed and should not have. A release has errors in store for some users, and for nobody else."""

    def __init__(self, release: str) -> None:
        super().__init__()
        self._release, self._own = releases.read(release), threading.Lock()
        self.asked = self.unplanned = 0
        self.kinds: dict[str, int] = {}

    def answered(self, user: str, path: str, answer: Answer) -> None:
        """As it is counted anyway."""
        super().answered(user, path, answer)
        wrong = answer.status != HTTPStatus.OK and not self._is_planned(user, answer)
        self._count(str(answer.status) if wrong else None)

    def failed(self, kind: str) -> None:
        """No answer came."""
        super().failed(kind)
        self._count(kind)

    def _count(self, kind: str | None) -> None:
        with self._own:
            self.asked += 1
            if kind:
                self.unplanned += 1
                self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def _is_planned(self, user: str, answer: Answer) -> bool:
        # Only what the shop itself says: an error on the way, or of a process that is ended, tells of no variant.
        variant = answer.headers.get("x-variant")
        planned = variant and errs(self._release.dials(variant), user, self._release.seed)
        return bool(planned) and answer.status == HTTPStatus.INTERNAL_SERVER_ERROR


def lay_shop(settings: Settings) -> str:
    """The steady release on a colour that has the traffic, and the flag, of nobody; that colour. Harmless twice."""
    flag = Flag(
        key=releases.read(ERRING).flag,
        variants={"on": True, "off": False},
        off="off",
        split=Split.percentage("on", 0, "off"),
        description="bench",
    )
    with connect(settings) as db:
        change_flag(db, flag, who="bench", why="bench", expected_version=0)
    balancer = open_balancer(settings, ENVIRONMENT)
    live = balancer.servers()[0].name
    with open_application_host(settings, ENVIRONMENT) as host:
        host.place(live, STEADY)
    balancer.wait_up(live, _UP_SECONDS)
    balancer.direct(live)
    return live
