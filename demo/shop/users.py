"""`python -m demo.shop.users --rate 20 --seconds 60`: users of the shop, who come when they come, and count what they see.

Sessions begin as a Poisson process, however slow the shop is. Each is of one user, with a connection of his own, who
searches, looks at what is found, and puts something by, and thinks in between. The same seed gives the same users with the same plans; some
come again, and are then the same user. Only ever on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import NamedTuple

import uvloop
from pydantic import BaseModel, ConfigDict, Field

from demo.shop.counts import Counts
from demo.shop.ground import PRODUCTS, WORDS
from demo.shop.visits import Answer, Failed, Visit, address
from steward.errors import StewardError
from steward.settings import load

_RETURNING = 0.3
_SEARCHES = (1, 2, 3)
_LOOKS, _BUYS = 0.6, 0.3
_LEAVING_SECONDS = 40.0


class Load(BaseModel):
    """How many users, how often, for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    rate: float = Field(gt=0, le=500, description="sessions that begin, a second")
    seconds: float = Field(gt=0, le=86_400, description="no session begins after that")
    users: int = Field(default=100_000, ge=1, le=1_000_000, description="once so many came, only they come again")
    most_at_once: int = Field(
        default=2_000, ge=1, le=5_000, description="further sessions are turned away, and counted"
    )
    think_seconds: float = Field(default=1.0, ge=0, le=60, description="on average, between two requests")
    seed: int = 0


class Session(NamedTuple):
    """One that is due so many seconds after the first could be."""

    due: float
    user: str
    seed: str


class Click(NamedTuple):
    """A pause, and then a request."""

    after: float
    method: str
    path: str

    @property
    def counted_as(self) -> str:
        """Its path without what differs from one to the next."""
        return "/" + self.path.lstrip("/").partition("/")[0].partition("?")[0]


def sessions(told: Load) -> Iterator[Session]:
    """All that are due, in their order."""
    chance, due, came = Random(f"sessions {told.seed}"), 0.0, 0
    for number in range(sys.maxsize):
        due += chance.expovariate(told.rate)
        if due > told.seconds:
            return
        again = came > 0 and (came == told.users or chance.random() < _RETURNING)
        user = chance.randrange(came) if again else came
        came += not again
        yield Session(due, f"user-{told.seed}-{user}", f"{told.seed} {number}")


def clicks(session: Session, think_seconds: float) -> Iterator[Click]:
    """What its user does: searches at least once, and each time may look and put by."""
    chance = Random(session.seed)

    def after() -> float:
        return chance.expovariate(1 / think_seconds) if think_seconds else 0.0

    for number in range(chance.choice(_SEARCHES)):
        yield Click(after() if number else 0.0, "GET", f"/search?q={chance.choice(WORDS)}")
        product = 1 + chance.randrange(PRODUCTS)
        if chance.random() < _LOOKS:
            yield Click(after(), "GET", f"/products/{product}")
            if chance.random() < _BUYS:
                yield Click(after(), "PUT", f"/basket/{product}")
                yield Click(after(), "GET", "/basket")


class Users:
    """All of them. Raises NotLoopback where they would go elsewhere."""

    def __init__(self, told: Load, counts: Counts | None = None) -> None:
        self._told, self._at = told, address(told.url)
        self._under_way: set[asyncio.Task[None]] = set()
        self._sent_home = asyncio.Event()
        self.counts = counts or Counts()

    async def come(self) -> None:
        """Until the last that is due has left. Cancelled, nobody asks any more; what was asked is waited for and counted."""
        began = time.monotonic()
        try:
            for session in sessions(self._told):
                await asyncio.sleep(max(0.0, began + session.due - time.monotonic()))
                self._begin(session, late_seconds=time.monotonic() - began - session.due)
            await self._all_left()
        finally:
            self._sent_home.set()
            await self._all_left()

    async def _all_left(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _begin(self, session: Session, *, late_seconds: float) -> None:
        turned_away = len(self._under_way) >= self._told.most_at_once
        self.counts.session(session.user, turned_away=turned_away, late_seconds=late_seconds)
        if not turned_away:
            task = asyncio.create_task(self._visit(session))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _visit(self, session: Session) -> None:
        visit, has_found = Visit(*self._at, session.user), True
        try:
            for click in clicks(session, self._told.think_seconds):
                # Whose search found nothing has nothing to look at until he searches again.
                if not has_found and click.counted_as != "/search":
                    continue
                if await self._is_sent_home(click.after):
                    return
                answer = await self._asked(visit, session.user, click)
                has_found = answer is None or answer.headers.get("x-found") != "0"
        finally:
            self.counts.retried(visit.retried)
            visit.leave()

    async def _is_sent_home(self, within_seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._sent_home.wait()
        return self._sent_home.is_set()

    async def _asked(self, visit: Visit, user: str, click: Click) -> Answer | None:
        try:
            answer = await visit.ask(click.method, click.path)
        except Failed as failed:
            self.counts.failed(str(failed))
            return None
        self.counts.answered(user, click.counted_as, answer)
        return answer


@contextmanager
def coming(told: Load, counts: Counts | None = None) -> Generator[Counts]:
    """Users in a thread of their own while the block lasts; sent home at its end. *counts*: who counts otherwise."""
    users = Users(told, counts)
    loop = uvloop.new_event_loop()
    task = loop.create_task(users.come())
    thread = threading.Thread(target=_until_done, args=(loop, task), name="users", daemon=True)
    thread.start()
    try:
        yield users.counts
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(_LEAVING_SECONDS)


def run(told: Load) -> Counts:
    """All of them, to the end, or until SIGTERM or SIGINT."""
    users = Users(told)
    loop = uvloop.new_event_loop()
    task = loop.create_task(users.come())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    _until_done(loop, task)
    return users.counts


def _until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    try:
        loop.run_until_complete(asyncio.wait({task}))
        if not task.cancelled():
            task.result()
    finally:
        loop.close()


def main(arguments: list[str]) -> int:
    """0 where no request failed, 1 where some did, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        url = options.url or load().balancer("production").url
        told = Load(
            url=url,
            rate=options.rate,
            seconds=options.seconds,
            users=options.users,
            think_seconds=options.think,
            seed=options.seed,
        )
        report = run(told).report()
    except (StewardError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(report.as_json()))
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.shop.users", description=(__doc__ or "").partition(":")[2])
    parser.add_argument("--url", help="on loopback; absent: the load balancer of STEWARD_SETTINGS")
    parser.add_argument("--rate", type=float, required=True, help="sessions that begin, a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--users", type=int, default=100_000, help="at most so many different ones")
    parser.add_argument("--think", type=float, default=1.0, help="seconds between two requests, on average")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
