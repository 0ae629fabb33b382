"""Ground for tests of durable flows: a ledger of their own with a short lease, and deployments that know it.

A database of its own, so that whatever watches over the replica's ledger leaves these operations alone.
"""

from __future__ import annotations

import sys
import time
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomli_w
from prefect.client.orchestration import get_client

from replica import inventory
from steward.migrations.apply import migrate
from steward.operations.ledger import Ledger
from steward.settings import load
from tests.flows.prefect_server import recording_in
from tests.integration.fresh_database import fresh_database

LEASE_SECONDS, HEARTBEAT_SECONDS = 4.0, 1.0
#: For a worker on busy cores to start a flow's process.
PATIENCE_SECONDS = 180


@pytest.fixture(scope="session")
def ledger_settings(replica, tmp_path_factory):
    """A settings file that names a migrated database of the tests' own."""
    own = inventory.settings_file(replica)
    with fresh_database(load(own)) as fresh:
        migrate(fresh)
        written = tomllib.loads(own.read_text())
        written["postgres"]["url"] = fresh.postgres.url
        written["operations"] = {"lease_seconds": LEASE_SECONDS, "heartbeat_seconds": HEARTBEAT_SECONDS}
        path = tmp_path_factory.mktemp("ledger") / "settings.toml"
        path.write_text(tomli_w.dumps(written))
        yield path


@pytest.fixture
def book(in_replica, ledger_settings, monkeypatch):
    """The tests' ledger, which flows of this process use too, recorded by the replica's Prefect server."""
    monkeypatch.setenv("STEWARD_SETTINGS", str(ledger_settings))
    book = Ledger(load())
    with recording_in(in_replica):
        yield book
    book.close()


@pytest.fixture
def effects(tmp_path):
    """Where flows write what they did: independent of the ledger, and of their process."""
    return Effects(tmp_path / "effects")


class Effects:
    def __init__(self, path: Path) -> None:
        self.path = str(path)
        path.touch()

    def __iter__(self) -> Iterator[str]:
        return iter(Path(self.path).read_text().split("\n")[:-1])

    def count(self, line):
        return list(self).count(line)


@contextmanager
def deployed(*flows, settings):
    """*flows* as deployments of the worker's pool, named as they are, on the tests' ledger; by flow's name."""
    made = {}
    with get_client(sync_client=True) as client:
        for flow in flows:
            made[flow.name] = client.create_deployment(
                client.create_flow(flow),
                flow.name,
                entrypoint=f"{flow.fn.__module__}.{flow.fn.__name__}",
                work_pool_name="steward",
                # Without the command line's own start, which takes as long as the flow's.
                job_variables={
                    "command": f"{sys.executable} -m prefect.engine",
                    "env": {"STEWARD_SETTINGS": str(settings)},
                },
            )
        try:
            yield made
        finally:
            for deployment in made.values():
                client.delete_deployment(deployment)


def start(deployment, parameters, tags=()):
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(deployment, parameters=parameters, tags=tags).id


def state_of(flow_run_id):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(flow_run_id).state


def wait_for(answer, what, seconds=PATIENCE_SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := answer():
            return found
        time.sleep(0.2)
    return pytest.fail(f"no {what} after {seconds} s")


def ended(flow_run_id):
    # One client for all questions: to make one takes 25 ms of a processor, and the server more to greet it.
    with get_client(sync_client=True) as client:

        def final():
            state = client.read_flow_run(flow_run_id).state
            return state if state.is_final() else None

        return wait_for(final, f"final state of run {flow_run_id}")


def operation_of(book, name, subject):
    """Its row, which a process that is still starting may be about to write."""

    def row():
        rows = book.query(
            "SELECT * FROM steward.operations WHERE name = %(name)s AND subject = %(subject)s",
            name=name,
            subject=subject,
        )
        return rows[0] if rows else None

    return wait_for(row, f"operation {name} {subject}")


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
