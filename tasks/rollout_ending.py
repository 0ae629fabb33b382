"""A rollout's ends: certified, with the version before it kept ready, or taken back."""

from __future__ import annotations

from prefect.logging import get_run_logger

from steward.clients import rollouts_exposure
from steward.clients.haproxy import open_balancer
from steward.clients.haproxy_errors import BalancerAway, NotDrained
from steward.clients.rollouts_releases import note_certified
from steward.clients.rollouts_withdrawal import withdraw
from steward.errors import BadInput, StewardError
from steward.operations.errors import Superseded
from steward.operations.steps import Kind
from steward.rollout.progress import SoFar
from steward.rollout.record import FLOW, Rollout
from steward.rollout.state import State
from steward.settings import load
from tasks.durable import step
from tasks.rollouts import acting, read_rollout

_DRAIN_SECONDS = 30.0


@step("certify")
def certify(rollout_id: int, on_whose_word: str | None) -> None:
    """Everybody keeps it, under no lease, and it may be returned to. *on_whose_word*: where a step was not proved."""
    if read_rollout(rollout_id).state is State.CERTIFIED:
        # A try that died after its commit did it; what has ended can be held by nobody.
        return
    with acting(rollout_id) as (db, rollout):
        now = rollouts_exposure.keep_for_good(db, rollout)
        note_certified(db, now, on_whose_word)


@step("keep the previous version ready", kind=Kind.CLOSING)
def keep_previous(rollout_id: int) -> tuple[str, ...]:
    """It serves nothing new, and stays up: the fast way back. What is not so is told, and changes nothing."""
    rollout = read_rollout(rollout_id)
    try:
        # It was drained when the traffic was switched over. Drained here, it would be taken from users whom somebody has sent
        # back to it since.
        open_balancer(load(), rollout.environment).wait_drained(rollout.previous_colour, _DRAIN_SECONDS)
    except (BalancerAway, BadInput, NotDrained) as left:
        get_run_logger().warning("%s", left.message)
        return (left.message,)
    return ()


def take_back(rollout_id: int, so_far: SoFar) -> tuple[str, ...]:
    """Users first, then the traffic; what is left for the guardian to do, if anything."""
    try:
        so_far.taken_back(withdraw_rollout(rollout_id, f"{so_far.cause}: {so_far.why}"[:2000]))
    except Superseded:
        raise
    except StewardError as left:
        get_run_logger().exception("the rollout is not wholly back yet; the guardian in the watch goes on")
        return (f"not wholly back when the run ended, left to the guardian: {left.message}",)
    return ()


@step("take back", kind=Kind.CLOSING)
def withdraw_rollout(rollout_id: int, why: str) -> Rollout:
    """Somebody else may have done it already, and is then named by the record."""
    return withdraw(load(), rollout_id, FLOW, why)
