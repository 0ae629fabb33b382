"""The way back: users first, then the traffic. The same for the flow, the guardian, the API and the command.

Each part may be done twice, and by whoever comes: a withdrawal that was begun is finished by the guardian.
"""

from __future__ import annotations

from steward.clients import rollouts
from steward.clients.haproxy import LoadBalancer, open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts_exposure import take_off
from steward.rollout.errors import RolloutEnded
from steward.rollout.record import Rollout
from steward.settings import Settings


def withdraw(settings: Settings, rollout_id: int, who: str, why: str) -> Rollout:
    """Nobody is exposed any more when this returns, and the traffic is where it was. One that has ended stays as it is.

    Raises BalancerAway and DatabaseUnavailable, both transient; the flag is off by then, if the database was there.
    """
    try:
        with connect(settings) as db:
            rollout = take_off(db, rollout_id, who, why)
    except RolloutEnded:
        with connect(settings) as db:
            return rollouts.read(db, rollout_id)
    give_back(open_balancer(settings, rollout.environment), rollout)
    with connect(settings) as db:
        return rollouts.end_withdrawal(db, rollout_id)


def give_back(balancer: LoadBalancer, rollout: Rollout) -> None:
    """New requests to the colour that had them before. Raises ServerNotUp where that is not healthy: nothing is changed."""
    balancer.direct(rollout.previous_colour)
