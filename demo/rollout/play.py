"""Two rollouts on one machine, under live users: a good release goes 5 → 25 → 50 → 100 %, a bad one is taken back by itself.

What an operator does, by the same ways: migrate, deploy, put a release on a colour, make flags at 0 %; then one run of the
deployment `production-rollout` for each release, through the worker. Judged apart from what the runs say of themselves: the
users' own counts, and the signed statements.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from demo.acts import closing, prepare, run, say, timed
from demo.commands import CommandFailed
from demo.rollout.asked import ERRING, ERRING_FLAG, GOOD, GOOD_FLAG, NO_GATES, SHORTER, request
from demo.rollout.come_to import (
    DIALLED,
    CameTo,
    against_erring,
    against_good,
    against_traffic,
    arm,
    came_to,
    seconds_to_roll_back,
)
from demo.rollout.laying import STEADY, lay
from demo.rollout.live import live_users
from demo.rollout.told import Receivers, receivers
from demo.stage import Stage
from steward.verdicts import Verdict

ROLLOUT = "production-rollout/production-rollout"
#: Users come for so long first: what is slow is what was slow for them.
QUIET_SECONDS = 15


def play(stage: Stage, rate: float, seed: int) -> Verdict:
    """The whole of it: VERIFIED where both ended as they should, and the users saw nothing that speaks against it."""
    prepare(stage)
    with timed("the steady release has the traffic, flags at 0 %"):
        colour = lay(stage.settings)
    say(f"  {STEADY} on {colour}, behind the load balancer {stage.settings.balancer('production').url}")
    say(SHORTER)
    say(NO_GATES)
    with receivers(stage) as told, live_users(stage, rate, seed) as users:
        say(f"users: {rate:g} sessions begin in a second ({users.log})")
        time.sleep(QUIET_SECONDS)
        good = roll_out(stage, GOOD, GOOD_FLAG, 1)
        erring = roll_out(stage, ERRING, ERRING_FLAG, 2)
        with timed("the last user has left"):
            seen = users.go_home()
        against = [*against_erring(erring, seen), *against_good(good, seen), *against_traffic(seen)]
        against += [f"{each.statement} does not verify" for each in (good, erring) if not verifies(stage, each)]
        said = [*lines(stage, good, erring, seen), "", *notices(told), "", *ending(against)]
    print(closing(stage, "\n".join(["", *said])))
    return Verdict.REFUTED if against else Verdict.VERIFIED


def ending(against: Sequence[str]) -> Iterator[str]:
    """What all of it comes to."""
    if not against:
        yield "both ended as they should, and what the users counted themselves agrees with what the judge was told"
    yield from (f"NOT AS IT SHOULD BE: {each}" for each in against)


def roll_out(stage: Stage, release: str, flag: str, deployment: int) -> CameTo:
    """One run of the deployment, whatever it ends as."""
    say("")
    with timed(f"{release} rolled out behind {flag}"):
        ended = run(stage, ROLLOUT, {"request": request(release, flag, deployment)}, must_complete=False)
    return came_to(stage, ended, release)


def lines(stage: Stage, good: CameTo, erring: CameTo, seen: Mapping[str, Any]) -> Iterator[str]:
    """What came of both, what the users saw, and where to look."""
    yield from table(good, erring, seen)
    yield ""
    if took := seconds_to_roll_back(erring, seen):
        yield (
            f"{erring.rollout.release} was taken back {took[0]:.1f} s after the first user could have it; "
            f"the last answer with it came {took[1]:.1f} s later"
        )
    yield from users_saw(seen)
    yield ""
    yield from where_to_look(stage, good, erring)


def table(good: CameTo, erring: CameTo, seen: Mapping[str, Any]) -> Iterator[str]:
    """A line a rollout. The users' numbers are their own."""
    yield f"{'release':<16} {'flag':<12} {'up to':>6}  {'ended':<12} {'verdict':<9} {'took':>6}  {'had it':>7} {'saw it fail':>12}"
    for each in (good, erring):
        rollout, new = each.rollout, arm(seen, each.rollout)
        took = (rollout.ended_at - rollout.begun_at).total_seconds() if rollout.ended_at else 0
        up_to = rollout.plan.steps[max(0, rollout.step - 1)]
        yield (
            f"{rollout.release:<16} {rollout.flag:<12} {up_to:>4} %  {rollout.state.replace('_', ' '):<12} {each.verdict:<9} "
            f"{took:>4.0f} s  {new['users']:>7,} {new['failed_users']:>12,}"
        )


def users_saw(seen: Mapping[str, Any]) -> Iterator[str]:
    """Over the whole time."""
    dialled = seen["failures"].get(DIALLED, 0)
    search = seen["milliseconds"].get("/search", {})
    yield (
        f"users: {seen['users']:,} in {seen['sessions']:,} sessions, {seen['requests']:,} requests; {dialled:,} searches failed "
        f"as their release fails them, {seen['failed'] - dialled:,} requests otherwise"
    )
    yield "  searches took " + ", ".join(f"{name} {milliseconds:.0f} ms" for name, milliseconds in search.items())


def where_to_look(stage: Stage, good: CameTo, erring: CameTo) -> Iterator[str]:
    """Addresses, files, and the command that needs no server."""
    flags = stage.settings.flags
    for each in (good, erring):
        yield f"{each.rollout.release}: run {stage.ui_url}/runs/flow-run/{each.run.id} (artifact rollout)"
        yield f"  status page {flags.url if flags else ''}/rollouts/{each.rollout.id}, evidence {each.statement}"
    token = flags.tokens["operator"].token.removeprefix("file:") if flags else ""
    yield f"flags, with their history: {flags.url if flags else ''} (asks for a token: the one in {token})"
    command = " ".join(["python -m steward.evidence verify", str(erring.statement), *_key(stage)])
    yield f"check evidence with nothing but the file and the key: {command}"


def notices(told: Receivers) -> Iterator[str]:
    """Which came."""
    first, *rest = told.lines()
    yield f"notices: {first}"
    yield from rest


def verifies(stage: Stage, ended: CameTo) -> bool:
    """Offline: the file and the public key."""
    command = (sys.executable, "-m", "steward.evidence", "verify", str(ended.statement), *_key(stage))
    try:
        stage.shell.run("evidence", *command)
    except CommandFailed:
        return False
    return True


def _key(stage: Stage) -> tuple[str, str]:
    return "--key", str(stage.settings.evidence.public_key)
