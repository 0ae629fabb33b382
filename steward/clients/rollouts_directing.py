"""Traffic sent to a colour by a person, who knows better than what is recorded."""

from __future__ import annotations

from steward.clients import roll_backs, rollouts
from steward.clients.application_host import HostAway, open_application_host
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts_return import OnColour, look
from steward.rollout.returning import By
from steward.settings import Settings


def direct_traffic(settings: Settings, environment: str, colour: str, by: By) -> None:
    """All new requests to *colour*; a way back that was under way is given up for it. No flag is changed.

    Raises RolloutUnderWay, ServerNotUp, NoSuchServer: nothing is touched then.
    """
    balancer = open_balancer(settings, environment)
    # Before anything: a name that is none, or an ill server, is refused here.
    target = balancer.server(colour)
    with connect(settings) as db:
        roll_backs.hold(db, environment)
        rollouts.refuse_beside(rollouts.under_way(db, environment))
        before = _look(settings, environment)
        balancer.direct(target.name)
        if begun := roll_backs.under_way(db, environment):
            roll_backs.give_up(db, begun.id, by)
        left = " and ".join(_told(each) for each in before if each.takes and each.colour != colour)
        to = next((_told(each) for each in before if each.colour == colour), colour)
        roll_backs.note_directed(db, environment, left or f"what {colour} had", to, by)


def _look(settings: Settings, environment: str) -> list[OnColour]:
    """What runs where; a host that is away keeps nobody from directing traffic."""
    balancer = open_balancer(settings, environment)
    try:
        with open_application_host(settings, environment) as host:
            return look(balancer, host)
    except HostAway:
        return [OnColour(each.name, each.serves, each.healthy, None) for each in balancer.servers()]


def _told(each: OnColour) -> str:
    return f"{each.release or 'unknown'} on {each.colour}"
