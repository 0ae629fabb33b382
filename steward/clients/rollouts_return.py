"""Back to the previous version at once: the same for the flow, the API, the command, and the guardian that ends what they did not.

A rollout that is under way is withdrawn. After its end the way leads to the last certified release that was not revoked, and to
no other. Users first, then the traffic: in one transaction it goes on record, the flag of what is left is off for everybody, and
that release is revoked; then its colour loses the traffic. Each part may be done twice, and by two at once.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from steward.clients import roll_backs, rollouts
from steward.clients.answering import ask_who_answers
from steward.clients.application_host import ApplicationHost, HostAway, open_application_host
from steward.clients.flag_errors import NoSuchFlag
from steward.clients.flag_store import kill_flag
from steward.clients.haproxy import Admin, LoadBalancer, open_balancer
from steward.clients.haproxy_errors import ServerNotUp
from steward.clients.postgres import Connection, connect
from steward.clients.rollouts_exposure import named
from steward.clients.rollouts_releases import last_certified, releases, revoke
from steward.clients.rollouts_said import said, say
from steward.clients.rollouts_withdrawal import withdraw
from steward.errors import BadInput
from steward.rollout.record import Rollout
from steward.rollout.returning import (
    DIRECTED,
    SETTLED,
    By,
    OnColour,
    Returned,
    RollBack,
    live_of,
    require_target,
    way_to,
)
from steward.rollout.state import State
from steward.settings import Settings

#: A release starts in some seconds, and then HAProxy looks twice a second.
_UP_SECONDS = 60.0
_ASKED = 10


class NotLive(BadInput):
    """What is to be left does not have the traffic."""


def roll_back(settings: Settings, environment: str, by: By, leave: str = "") -> Returned:
    """The previous version has the traffic when this returns, and nobody has the flag of what was left.

    Of what is under way already, or was over a moment ago, it is the answer. *leave*: the release to get away from; empty:
    whichever is live. Raises NoWayBack, NotLive, NotReady (nothing is touched), ReleaseDidNotStart, and transient ones of
    database, load balancer and host; what was begun is on record by then, and the guardian goes on with it.
    """
    while True:
        with connect(settings) as db:
            rollout, begun = rollouts.under_way(db, environment), roll_backs.under_way(db, environment)
            if rollout:
                _say_once(db, rollout, by)
            settled = None if rollout or begun else _settled(db, environment)
        if rollout:
            found = _withdraw(settings, rollout, by)
            if found.state is not State.CERTIFIED and leave in ("", found.release):
                return of_rollout(found, joined=found.who != by.who)
            # It was certified in that very moment, or it is another release that is to be left.
        elif begun:
            return finish(settings, begun, joined=True)
        elif settled and leave in ("", settled.left):
            return settled
        else:
            try:
                return finish(settings, begin(settings, environment, by, leave))
            except rollouts.RolloutUnderWay:
                # Somebody began just now.
                continue


def begin(settings: Settings, environment: str, by: By, leave: str = "") -> RollBack:
    """On record, the users off the release that is left, and that release revoked: all of it, or nothing.

    Raises NotReady, NotLive, NoWayBack, RolloutUnderWay.
    """
    live = _live(settings, environment)
    if leave and leave != live:
        raise NotLive(
            f"{leave} does not have the traffic of {environment}: {live} has it", hint="name none to leave what is live"
        )
    with connect(settings) as db:
        roll_backs.hold(db, environment)
        rollouts.refuse_beside(rollouts.under_way(db, environment))
        roll_backs.refuse_beside(db, environment)
        put_up_by = _put_up_by(db, environment, live)
        flag = put_up_by.flag if put_up_by else None
        target = require_target(environment, live, last_certified(db, environment, besides=live), flag)
        begun = roll_backs.begin(db, environment, live, target.release, by)
        revoke(db, environment, live, f"{by.who} rolled it back: {by.why}"[:2000])
        if put_up_by:
            with suppress(NoSuchFlag):
                kill_flag(db, put_up_by.flag, who=named(put_up_by), why=f"rolled back by {by.who}: {by.why}"[:2000])
    return begun


def _live(settings: Settings, environment: str) -> str:
    """The release that has the traffic; where the host is away, the one that answers users: they can be taken off it."""
    try:
        with open_application_host(settings, environment) as host:
            return live_of(look(open_balancer(settings, environment), host)).release or ""
    except HostAway:
        answers = ask_who_answers(settings, environment, _ASKED)
        if len(answers.by) != 1:
            raise
        return next(iter(answers.by))


def finish(settings: Settings, begun: RollBack, *, joined: bool = False) -> Returned:
    """The traffic follows, if it has not yet; whoever comes first ends the record."""
    give_traffic(settings, begun)
    with connect(settings) as db:
        ended_here = roll_backs.end(db, begun.id)
        return _returned(roll_backs.read(db, begun.id), joined=joined, ended_here=ended_here)


def give_traffic(settings: Settings, begun: RollBack) -> None:
    """To the colour where the release is well; else it is put up on an idle one first, and waited for."""
    balancer = open_balancer(settings, begun.environment)
    with open_application_host(settings, begun.environment) as host:
        way = way_to(begun.to_release, look(balancer, host))
        if way.is_gone and not way.is_ready:
            # It has been there, and what came over it since is not mended by drawing the only server out.
            balancer.save_state()
            return
        if not way.is_ready:
            _put_up(balancer, host, way.colour, begun.to_release)
    # Also where it is: a load balancer whose state was not saved would begin with the one before.
    balancer.direct(way.colour)


def look(balancer: LoadBalancer, host: ApplicationHost) -> list[OnColour]:
    """What is true now, whatever a table believes. A server that is ill takes requests as long as nobody drains it."""
    placed = host.colours()
    return [
        OnColour(
            each.name,
            takes=each.admin is Admin.READY and each.weight_percent > 0,
            healthy=each.healthy,
            release=placed[each.name].release if each.name in placed else None,
        )
        for each in balancer.servers()
    ]


def of_rollout(rollout: Rollout, *, joined: bool) -> Returned:
    """A rollout that was withdrawn, as a way back."""
    return Returned(
        environment=rollout.environment,
        left=rollout.release,
        to=rollout.previous_release,
        rollout=rollout.id,
        roll_back=None,
        flag=rollout.flag,
        who=rollout.who or "",
        why=rollout.why or "",
        begun_at=rollout.withdrawn_at or rollout.begun_at,
        ended_at=rollout.ended_at or datetime.now(UTC),
        joined=joined,
    )


def _say_once(db: Connection, rollout: Rollout, by: By) -> None:
    if not any((each.decision, each.who, each.why) == ("roll_back", by.who, by.why) for each in said(db, rollout.id)):
        say(db, rollout, "roll_back", who=by.who, why=by.why, via=by.via)


def _withdraw(settings: Settings, rollout: Rollout, by: By) -> Rollout:
    """Also where the version before it has ended meanwhile: it is started again."""
    try:
        return withdraw(settings, rollout.id, by.who, by.why)
    except ServerNotUp:
        balancer = open_balancer(settings, rollout.environment)
        with open_application_host(settings, rollout.environment) as host:
            before = next(each for each in look(balancer, host) if each.colour == rollout.previous_colour)
            if before.takes or rollout.previous_release is None:
                raise
            _put_up(balancer, host, rollout.previous_colour, rollout.previous_release)
        return withdraw(settings, rollout.id, by.who, by.why)


def _put_up(balancer: LoadBalancer, host: ApplicationHost, colour: str, release: str) -> None:
    # Out of maintenance, so that its health is looked at, and nothing new to what is replaced.
    balancer.drain(colour)
    there = host.colour(colour)
    if there.release == release and there.healthy is False:
        host.restart(colour)
    else:
        host.place(colour, release)
    balancer.wait_up(colour, _UP_SECONDS)


def _put_up_by(db: Connection, environment: str, release: str) -> Rollout | None:
    """The rollout that put *release* up last; None: none did."""
    found = [each.rollout for each in releases(db, environment) if each.release == release]
    return rollouts.read(db, found[0]) if found else None


def _settled(db: Connection, environment: str) -> Returned | None:
    """The last that was done there, if that was a way back, and just now."""
    ended = [each for each in rollouts.newest(db, environment, limit=5) if each.ended_at][:1]
    gone = [each for each in roll_backs.newest(db, environment, limit=5) if each.ended_at][:1]
    found: list[Returned | None] = [
        *(of_rollout(each, joined=True) if each.state is State.ROLLED_BACK else None for each in ended),
        *(_returned(each, joined=True) if each.via != DIRECTED else None for each in gone),
    ]
    at = [each.ended_at for each in (*ended, *gone) if each.ended_at]
    if not at:
        return None
    last = found[at.index(max(at))]
    now = db.execute("SELECT clock_timestamp()").fetchone()
    return last if last and now and now[0] - last.ended_at < SETTLED else None


def _returned(row: RollBack, *, joined: bool, ended_here: bool = False) -> Returned:
    return Returned(
        environment=row.environment,
        left=row.release,
        to=row.to_release,
        rollout=row.rollout,
        roll_back=row.id,
        flag=row.flag,
        who=row.who,
        why=row.why,
        begun_at=row.begun_at,
        ended_at=row.ended_at or datetime.now(UTC),
        joined=joined,
        ended_here=ended_here,
    )
