"""`python -m steward rollout …`: what people see of rollouts, and say of them, from a terminal; the way back among it."""

from __future__ import annotations

import argparse
import getpass
import logging
import socket
import time
from collections.abc import Callable, Iterator

from steward.clients import roll_backs, rollouts
from steward.clients.application_host import open_application_host
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts_directing import direct_traffic
from steward.clients.rollouts_releases import releases
from steward.clients.rollouts_return import look, roll_back
from steward.clients.rollouts_said import said
from steward.clients.rollouts_shown import last_glance
from steward.clients.rollouts_telling import tell_of_return
from steward.clients.rollouts_words import say_of
from steward.errors import StewardError
from steward.rollout.record import Release, Rollout, Said, Saying
from steward.rollout.returning import By, Returned, RollBack
from steward.rollout.state import ENDED
from steward.rollout.words import word_wanted
from steward.settings import Settings

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS, _PAUSE_SECONDS = 60.0, 2.0
_TIME = "%Y-%m-%d %H:%M:%S"


def list_rollouts(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Newest first."""
    with connect(settings) as db:
        found = rollouts.newest(db, chosen.environment, chosen.limit)
        gone = roll_backs.newest(db, chosen.environment, chosen.limit)
        environments = {each.environment for each in found} | {each.environment for each in gone}
        certified = [each for name in sorted(environments) for each in releases(db, name) if each.certified_at]
    return [
        *([_line(each) for each in found] or ["no rollout yet"]),
        *_headed("certified releases", [_release(each) for each in certified]),
        *_headed("ways back", [_gone(each) for each in gone]),
    ]


def show_rollout(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """What is known of it, and what may be done."""
    with connect(settings) as db:
        rollout = rollouts.read(db, chosen.id)
        told, last = said(db, rollout.id), last_glance(db, rollout.id)
    before = f"{rollout.previous_release or 'unknown'} on {rollout.previous_colour}"
    return [
        _line(rollout),
        f"  flag {rollout.flag}, on {rollout.colour}; before it {before}",
        *([f"  last look: {last.decision} at {last.label}", *(f"    {each}" for each in last.reasons)] if last else []),
        *(_said(each) for each in told),
        *_may_be_said(rollout, word_wanted(rollout, last, told)),
    ]


def approve(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """NotAsked where nobody waits for it."""
    return _say(settings, chosen, "approve")


def override(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """NotAsked where nobody waits for it."""
    return _say(settings, chosen, "override")


def return_now(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Done when it returns. What waiting may cure is tried again for a minute, and said meanwhile."""
    returned = _patiently(lambda: roll_back(settings, chosen.environment, _by(chosen), chosen.leave))
    lines = [str(returned), f"flag {returned.flag} is off for everybody" if returned.flag else "no flag of it is known"]
    if returned.joined:
        lines.append("it was under way, or done, when you asked; to leave what is live now as well: --leave RELEASE")
    lines += [f"not told: {each.target}: {each.error}" for each in tell_of_return(settings, returned) if not each.ok]
    return lines


def direct(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Refused while a rollout is under way."""
    direct_traffic(settings, chosen.environment, chosen.colour, _by(chosen))
    balancer = open_balancer(settings, chosen.environment)
    try:
        with open_application_host(settings, chosen.environment) as host:
            runs = {each.colour: each.release for each in look(balancer, host)}
    except StewardError as away:
        runs = {}
        told = [f"what runs there is not known: {away.message}"]
    else:
        told = []
    return [*(f"{each}, {runs.get(each.name) or 'release unknown'}" for each in balancer.servers()), *told]


def _patiently(work: Callable[[], Returned]) -> Returned:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return work()
        except StewardError as error:
            if not error.transient or time.monotonic() > until:
                raise
            # Without a configuration, warnings go to standard error.
            _log.warning("not yet: %s", error.message)
            time.sleep(_PAUSE_SECONDS)


def _say(settings: Settings, chosen: argparse.Namespace, saying: Saying) -> list[str]:
    rollout = say_of(settings, chosen.id, saying, _by(chosen))
    return [f"{rollout}: {saying} of step {rollout.step} at {rollout.exposure} % is recorded; its run goes on with it"]


def _by(chosen: argparse.Namespace) -> By:
    return By(who=f"{getpass.getuser()}@{socket.gethostname()}", why=chosen.because, via="command")


def _line(rollout: Rollout) -> str:
    state = rollout.state.replace("_", " ")
    lease = "" if rollout.state in ENDED else f", lease {max(0.0, rollout.lease_left):.0f} s"
    why = f", {rollout.who}: {rollout.why}" if rollout.why else ""
    return f"{rollout.id}  {rollout.begun_at:{_TIME}}  {rollout.release} in {rollout.environment}: {state} at {rollout.exposure} %{lease}{why}"


def _release(release: Release) -> str:
    word = f", on the word of {release.certified_by}" if release.certified_by else ""
    revoked = f"; revoked, {release.revoked_why}" if release.revoked_at else ""
    return (
        f"{release.release} in {release.environment}: certified {release.certified_at:{_TIME}}{word}, "
        f"last on {release.colour}{revoked}"
    )


def _gone(row: RollBack) -> str:
    ended = f"{row.ended_at:{_TIME}}" if row.ended_at else "UNDER WAY"
    return (
        f"{row.id}  {row.begun_at:{_TIME}}  {row.environment}: {row.release} to {row.to_release}, {ended}; "
        f"{row.who} ({row.via}): {row.why}"
    )


def _said(said: Said) -> str:
    return f"  {said.at:{_TIME}}  {said.who} said {said.decision} at step {said.step} ({said.via}): {said.why}"


def _may_be_said(rollout: Rollout, wanted: Saying | None) -> Iterator[str]:
    if wanted:
        yield f"  IT WAITS FOR A PERSON: python -m steward rollout {wanted} {rollout.id} --because …, or the form of its run in Prefect"
    if rollout.state not in ENDED:
        yield f"  to take it back: python -m steward rollout roll-back {rollout.environment} --because …"


def _headed(heading: str, lines: list[str]) -> list[str]:
    return [f"{heading}:", *(f"  {each}" for each in lines)] if lines else []
