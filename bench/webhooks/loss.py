"""What becomes of deliveries that come again and again while everything under them is killed: the runs are counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from bench.ground import Ground, progress
from bench.webhooks.counting import Tally, tally
from bench.webhooks.deliveries import AGAIN, PATH, STARTS, Delivery, Mill
from bench.webhooks.killing import Killing, schedule
from bench.webhooks.laying import Served, empty_inbox
from bench.webhooks.sending import Sender, arrive
from bench.webhooks.speed import event_of, prefect_at
from steward.clients.postgres import connect
from steward.errors import StewardError

VICTIMS = ("receiver", "dispatcher", "prefect", "postgres")
ROUNDS = 3
_EVENT = "bench.delivery"
#: Of a hundred deliveries whose sender does not try again, as GitHub itself does not.
_QUITTERS_PERCENT = 20.0
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
_SENDER_SECONDS = 300.0
_DRAIN_SECONDS = 1500.0
_QUIET_SECONDS = 20.0
_PAGE = 200


class NotDrained(StewardError):
    """The inbox did not become empty: what it holds is neither lost nor done."""


class Planned(NamedTuple):
    """One delivery, of the event of this number."""

    event: int
    again: bool


def plan(chance: random.Random, deliveries: int, events: int) -> list[Planned]:
    """The first of each event, and between them repeats of any event before."""
    if not 0 < events <= deliveries:
        raise ValueError(f"{events} events in {deliveries} deliveries")
    firsts = {0, *chance.sample(range(1, deliveries), events - 1)}
    planned, known = list[Planned](), 0
    for number in range(deliveries):
        if number in firsts:
            planned.append(Planned(known, again=False))
            known += 1
        else:
            # Half of them soon after, half whenever.
            oldest = max(0, known - 20) if chance.random() < 0.5 else 0  # noqa: PLR2004
            planned.append(Planned(chance.randrange(oldest, known), again=True))
    return planned


class Sent:
    """What senders sent, and what was acknowledged to them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.events, self.acknowledged = set[str](), set[str]()
        self.statuses, self.deliveries = Counter[int](), 0

    def sending(self, event: str, post: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
        """One delivery: tried until it is acknowledged, or once."""
        gives_up = self._chance.uniform(0, 100) < _QUITTERS_PERCENT
        self.events.add(event)
        self.deliveries += 1

        async def patiently() -> int:
            until, tries = time.monotonic() + _SENDER_SECONDS, 0
            while True:
                status = await post()
                self.statuses[status] += 1
                if 200 <= status < 300:  # noqa: PLR2004
                    self.acknowledged.add(event)
                    return status
                if gives_up or time.monotonic() > until:
                    return status
                await asyncio.sleep(_PAUSES_SECONDS[min(tries, len(_PAUSES_SECONDS) - 1)])
                tries += 1

        return patiently

    def told(self, found: Tally, kills: Counter[str]) -> dict[str, Any]:
        """Figures."""
        told = {
            **found._asdict(),
            "deliveries": self.deliveries,
            "requests": self.statuses.total(),
            "answers": {str(status): count for status, count in sorted(self.statuses.items())},
            "events": len(self.events),
            "acknowledged": len(self.acknowledged),
            "kills": dict(sorted(kills.items())),
        }
        progress(f"  {told}")
        return told


def measure(
    served: Served,
    client: SyncPrefectClient,
    deployment: str,
    *,
    deliveries: int,
    events: int,
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    """So many deliveries of so many events, sent within *seconds*. Raises NotDrained, NotBack."""
    empty_inbox(served.settings)
    before, chance = len(_runs(client, deployment)), random.Random(seed)  # noqa: S311  a draw, no secret
    assert not before, "runs of another part would be counted"
    mill, sent, firsts = Mill(seed, served.secret), Sent(chance), list[Delivery]()
    planned = plan(chance, deliveries, events)
    sender = Sender(served.receiver.port, PATH)

    def prepare(number: int) -> Callable[[], Awaitable[int]]:
        event, again = planned[number]
        if not again:
            firsts.append(mill.new(STARTS))
        made = mill.again(firsts[event], chance.choice(AGAIN)) if again else firsts[event]
        return sent.sending(made.event, lambda: sender.post(made.headers, made.body))

    killing = Killing(
        served.at, (served.receiver, served.dispatcher), [*schedule(chance, VICTIMS, ROUNDS, outage=True)]
    )
    killing.start()
    asyncio.run(_arrive(sender, deliveries, seconds, chance, prepare))
    killing.end()
    _drain(served)
    found = tally(sent.events, sent.acknowledged, _runs(client, deployment))
    return sent.told(found, killing.kills)


def rival(
    at: Ground, client: SyncPrefectClient, deployment: str, *, deliveries: int, events: int, seconds: float, seed: int
) -> dict[str, Any]:
    """Prefect's own route and an automation; its server is killed as often. A repeat has the same event's id: it knows no other."""
    chance = random.Random(seed)  # noqa: S311  a draw, no secret
    _automate(client, deployment)
    mill, sent, firsts = Mill(seed, "no secret"), Sent(chance), list[Delivery]()
    planned = plan(chance, deliveries, events)
    port, headers = prefect_at(at)
    sender = Sender(port, "/api/events", headers)

    def prepare(number: int) -> Callable[[], Awaitable[int]]:
        event, again = planned[number]
        if not again:
            firsts.append(mill.new(STARTS))
        made = firsts[event]
        body = event_of(made, _EVENT)
        return sent.sending(made.event, lambda: sender.post({"Content-Type": "application/json"}, body))

    killing = Killing(at, (), [*schedule(chance, ("prefect",), ROUNDS, outage=True)])
    killing.start()
    asyncio.run(_arrive(sender, deliveries, seconds, chance, prepare))
    killing.end()
    return sent.told(tally(sent.events, sent.acknowledged, _settled(client, deployment)), killing.kills)


async def _arrive(
    sender: Sender,
    deliveries: int,
    seconds: float,
    chance: random.Random,
    prepare: Callable[[int], Callable[[], Awaitable[int]]],
) -> None:
    try:
        await arrive(sorted(chance.uniform(0, seconds) for _ in range(deliveries)), prepare)
    finally:
        sender.close()


def _drain(served: Served) -> None:
    """Until everything that is stored has its run."""
    began, told = time.monotonic(), 0.0
    while left := _waiting(served):
        spent = time.monotonic() - began
        if spent > _DRAIN_SECONDS:
            raise NotDrained(
                f"{left} deliveries wait {spent:.0f} s after the last one", hint="see the dispatcher's log"
            )
        if spent - told > 30:  # noqa: PLR2004
            progress(f"  {left} wait for their runs")
            told = spent
        time.sleep(1.0)


def _waiting(served: Served) -> int:
    with connect(served.settings) as db:
        found = db.execute(_WAITING).fetchone()
    return int(found[0]) if found else 0


_WAITING = """
SELECT (SELECT count(*) FROM steward.webhook_deliveries WHERE state = 'received')
     + (SELECT count(*) FROM steward.webhook_starts WHERE state = 'waiting')
"""


def _runs(client: SyncPrefectClient, deployment: str) -> Sequence[str]:
    """The event of each run that there is."""
    of, found = DeploymentFilter(id=DeploymentFilterId(any_=[UUID(deployment)])), list[str]()
    while page := client.read_flow_runs(deployment_filter=of, sort=FlowRunSort.ID_DESC, limit=_PAGE, offset=len(found)):
        found += [run.parameters["event"] for run in page]
    return found


def _settled(client: SyncPrefectClient, deployment: str) -> Sequence[str]:
    """Once no more of them came for a while."""
    found, since = _runs(client, deployment), time.monotonic()
    while time.monotonic() - since < _QUIET_SECONDS:
        time.sleep(2.0)
        now = _runs(client, deployment)
        if len(now) != len(found):
            found, since = now, time.monotonic()
    return found


def _automate(client: SyncPrefectClient, deployment: str) -> None:
    event = {"__prefect_kind": "jinja", "template": "{{ event.payload.event }}"}
    action = RunDeployment(
        source="selected", deployment_id=UUID(deployment), parameters={"event": event}, job_variables=None
    )
    client.create_automation(
        AutomationCore(
            name="bench",
            trigger=EventTrigger(expect={_EVENT}, posture=Posture.Reactive, threshold=1),
            actions=[action],
        )
    )
