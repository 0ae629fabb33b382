"""What every step of a rollout does first: hold its row, as the attempt that may act for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from steward.clients import rollouts
from steward.clients.postgres import Connection, connect
from steward.operations.fencing import fence
from steward.rollout.record import Rollout
from steward.settings import load
from tasks.durable import operation


@contextmanager
def acting(rollout_id: int) -> Generator[tuple[Connection, Rollout]]:
    """A transaction in which this attempt, and no older one, acts for the rollout.

    Raises Superseded, `steward.rollout.errors` where it was withdrawn or has ended, and what `connect` raises.
    """
    with connect(load()) as db:
        fence(db)
        yield db, rollouts.take_up(db, rollouts.read(db, rollout_id), operation().token)


def read_rollout(rollout_id: int) -> Rollout:
    """As it is now, whoever holds it."""
    with connect(load()) as db:
        return rollouts.read(db, rollout_id)
