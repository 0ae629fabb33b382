"""Ground for tests of the dispatcher: an inbox of their own, a deployment that no worker serves, rules that start it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from contextlib import contextmanager

from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey

from replica import inventory
from services.watch.runs import connected
from services.webhooks.dispatcher import Dispatcher, Lane
from steward.clients.postgres import connect, open_connection
from steward.clients.webhook_inbox import keep
from steward.webhooks import signed
from steward.webhooks.rules import FORMAT, rules_of
from tests.flows.killed_runs import plant
from tests.flows.prefect_server import recording_in
from tests.integration.webhooks_ground import event, from_ci, raw

FLOW = "webhook-target"
_PATIENCE_SECONDS = 60
FORM = {
    "type": "object",
    "properties": {
        "request": {
            "type": "object",
            "properties": {
                "release": {"type": "string", "pattern": "^[a-z0-9]{1,20}$"},
                "nonce": {"type": "string"},
                "count": {"type": "integer"},
            },
            "required": ["release"],
            "additionalProperties": False,
        }
    },
    "required": ["request"],
}
PARAMETERS = {"request": {"release": "{data.release}", "nonce": "{data.nonce}"}}


@contextmanager
def idle_deployment(client):
    """FLOW/NAME of a deployment in a pool without workers: its runs stay SCHEDULED."""
    name = f"idle-{uuid.uuid4().hex[:8]}"
    client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    made = client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=name,
        entrypoint="tests.integration.dispatch_ground.nothing",
        work_pool_name=name,
        parameter_openapi_schema=FORM,
        enforce_parameter_schema=True,
    )
    try:
        yield f"{FLOW}/{name}"
    finally:
        client.delete_deployment(made)
        client.delete_work_pool(name)


def rules_for(deployment, **changes):
    return rules_of(
        {
            "format": FORMAT,
            "rule": [
                {
                    "name": "release",
                    "source": "ci",
                    "event": "release.candidate",
                    "deployment": deployment,
                    "parameters": PARAMETERS,
                    **changes,
                }
            ],
        }
    )


def sent(settings, **data):
    """The row of a new delivery of the signed form."""
    payload = event()
    payload["data"] |= data
    body = raw(payload)
    with connect(settings) as db:
        return keep(db, signed.read("ci", from_ci(body), body), "received").id


def starts(settings, *deliveries):
    """What is on record for *deliveries*, oldest first."""
    with connect(settings) as db:
        cursor = db.execute(
            "SELECT s.*, d.key FROM steward.webhook_starts s JOIN steward.webhook_deliveries d ON d.id = s.delivery_id"
            " WHERE delivery_id = ANY(%s) ORDER BY delivery_id, s.id",
            [list(deliveries)],
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def runs_of(client, key, source="ci", rule="release"):
    asked = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[f"webhook/{source}/{key}/{rule}"]))
    return client.read_flow_runs(flow_run_filter=asked)


def events_of(client, name, key):
    """Those that Prefect has kept about what is known by *key*."""
    answer = client.request("POST", "/events/filter", json={"filter": {"event": {"name": [name]}}, "limit": 50}).json()
    return [each for each in answer["events"] if each["payload"]["key"] == key]


class Work:
    """One lane whose turns a test makes itself."""

    def __init__(self, settings, rules) -> None:
        self.settings = settings
        self.dispatcher = Dispatcher(settings, rules)
        self.lane = Lane(self.dispatcher)

    def do(self, change=None):
        """Whatever is due. *change*: of the client of Prefect, before."""
        with (
            connected() as runs,
            open_connection(self.settings, autocommit=True, application_name="steward-dispatcher") as db,
        ):
            if change:
                change(runs)
            while self.lane.match(db) or self.lane.start(db, runs):
                continue

    def due_now(self):
        """What was postponed need not wait."""
        with connect(self.settings) as db:
            db.execute("UPDATE steward.webhook_starts SET next_try_at = clock_timestamp() WHERE state = 'waiting'")

    def tell(self):
        """GitHub, whatever is due."""
        with open_connection(self.settings, autocommit=True) as db:
            while self.dispatcher.telling.tell(db):
                continue


def dispatched_until_killed(place, settings, rules, death):
    """All that is due, in a process of its own that dies by SIGKILL at *death*."""
    process = multiprocessing.get_context("forkserver").Process(target=_dispatch, args=(place, settings, rules, death))
    process.start()
    process.join(_PATIENCE_SECONDS)
    assert process.exitcode == -signal.SIGKILL


def _dispatch(place, settings, rules, death):
    os.environ |= inventory.environment(place)
    plant(death)
    with recording_in(place):
        work = Work(settings, rules)
        work.do()
        work.tell()
