"""Three pushes on one machine, under live users: one goes to everybody, one comes back from production, one is stopped at its gate.

Nobody does anything after a push: Git's hook tells the receiver, the dispatcher starts the pipeline, a proved release becomes a
deployment at GitHub (the replica's stand-in for it), its webhook starts the rollout, and the deployment's status follows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from demo.acts import closing, prepare, say, timed
from demo.release.ground import listening
from demo.release.origin import Origin
from demo.release.seen import Commit, gates_in, wait_for
from demo.rollout.asked import ERRING_FLAG, PLAN, SHORTER
from demo.rollout.laying import lay
from demo.rollout.live import live_users
from demo.rollout.play import QUIET_SECONDS, users_saw
from demo.shop.repository import changes
from demo.stage import Stage
from steward.rollout.gates import Gate
from steward.verdicts import Verdict

_PROVED_SECONDS, _ROLLED_OUT_SECONDS = 300.0, 900.0


@dataclass(frozen=True)
class Went:
    """What became of one push."""

    name: str
    commit: Commit
    pushed_at: datetime
    seconds: float
    gates: dict[Gate, Verdict]
    """The pipeline's verdict on each."""
    statuses: list[str]
    """Of its deployment at GitHub; none: there is none."""


def play(stage: Stage, rate: float, seed: int) -> Verdict:
    """VERIFIED where each ended where it should."""
    prepare(stage)
    with timed("the steady release has the traffic, flags at 0 %"):
        lay(stage.settings)
    say(SHORTER)
    say("known vulnerabilities are asked of a list that knows none: no machine has to reach the real one")
    with listening(stage, PLAN) as origin, live_users(stage, rate, seed) as users:
        say(f"users: {rate:g} sessions begin in a second ({users.log}); code is pushed to {origin.bare}")
        time.sleep(QUIET_SECONDS)
        went = list(pushes(stage, origin))
        with timed("the last user has left"):
            seen = users.go_home()
    against = list(not_as_it_should_be(went))
    said = [*table(went), "", *users_saw(seen), "", *where_to_look(stage, went, origin), "", *_ending(against)]
    print(closing(stage, "\n".join(["", *said])))
    return Verdict.REFUTED if against else Verdict.VERIFIED


def pushes(stage: Stage, origin: Origin) -> Iterator[Went]:
    """One after the other; what is red stands on what users have, as the one before it was reverted."""
    changed = changes()
    yield push(stage, origin, "good", changed["good"], "first")
    erring = {"dials.toml": f'flag = "{ERRING_FLAG}"\n{changed["erring"]["dials.toml"]}'}
    yield push(stage, origin, "erring", erring, f"flag={ERRING_FLAG}")
    origin.take_back()
    yield push(stage, origin, "red", changed["red"], f"flag={ERRING_FLAG}")


def push(stage: Stage, origin: Origin, name: str, changed: dict[str, str], *options: str) -> Went:
    """And wait for its end, wherever it comes to one."""
    say("")
    began, pushed_at = time.monotonic(), datetime.now(UTC)
    commit = Commit(stage.settings, origin.push(name, changed, *options))
    say(f"{name} is pushed: {commit.commit}{''.join(f' -o {each}' for each in options)}")
    proved = wait_for(commit.proved, _PROVED_SECONDS, f"word of the pipeline on {name}", commit.said)
    say(f"{time.monotonic() - began:6.1f} s  the pipeline: {proved.verdict}")
    if proved.verdict is Verdict.VERIFIED:
        _follow(commit, began)
    return Went(name, commit, pushed_at, time.monotonic() - began, gates_in(proved), commit.statuses())


def _follow(commit: Commit, began: float) -> None:
    """Each status of its deployment, as it comes."""
    told = 0

    def ended() -> bool:
        nonlocal told
        statuses = commit.described()
        for state, description in statuses[told:]:
            say(f"{time.monotonic() - began:6.1f} s  GitHub: {state:<12} {description}")
        told = len(statuses)
        return commit.ended() is not None

    wait_for(ended, _ROLLED_OUT_SECONDS, f"end of the rollout of {commit.release}", commit.said)


def not_as_it_should_be(went: list[Went]) -> Iterator[str]:
    """Of the three, in their order."""
    for each, state in zip(went, ("success", "failure", None), strict=True):
        came_to = each.statuses[-1] if each.statuses else None
        if came_to != state:
            yield f"{each.name} was to end with {state or 'no deployment'}: it has {came_to or 'none'}"
    red = {gate for gate, verdict in went[-1].gates.items() if verdict is Verdict.REFUTED}
    if red != {Gate.UNIT_TESTS}:
        yield f"{went[-1].name} was to be stopped by its unit tests: {', '.join(sorted(red)) or 'nothing'} stopped it"


def table(went: list[Went]) -> Iterator[str]:
    """A line a push."""
    yield f"{'push':<8} {'release':<14} {'gates':<28} {'at GitHub':<36} {'took':>7}"
    for each in went:
        stopped = [gate for gate, verdict in each.gates.items() if verdict is not Verdict.VERIFIED]
        gates = f"stopped at {', '.join(stopped)}" if stopped else f"all {len(each.gates)} VERIFIED"
        short = [state for at, state in enumerate(each.statuses) if not at or each.statuses[at - 1] != state]
        github = " → ".join(short) or "no deployment"
        yield f"{each.name:<8} {each.commit.release:<14} {gates:<28} {github:<36} {each.seconds:>5.0f} s"


def where_to_look(stage: Stage, went: list[Went], origin: Origin) -> Iterator[str]:
    """Pages, commands, and the repository."""
    flags = stage.settings.flags
    yield f"pipeline and rollouts: {stage.ui_url}/runs (artifacts release-candidate and rollout)"
    yield f"status pages: {flags.url if flags else ''}/rollouts, code: git -C {origin.clone} log"
    yield f". {stage.environment_file}; then"
    yield "  python -m steward webhooks list                     what was delivered, and what it started"
    yield f"  python -m steward.evidence list --operation release-candidate --subject {went[0].commit.release}"


def _ending(against: list[str]) -> Iterator[str]:
    if not against:
        yield "each push ended where it should, and nobody did anything after it"
    yield from (f"NOT AS IT SHOULD BE: {each}" for each in against)
