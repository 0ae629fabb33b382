"""What a rollout came to, by its signed statement, and by what the users saw."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun

from demo.acts import RunFailed
from demo.rollout.asked import ENVIRONMENT
from demo.stage import Stage
from steward.clients.flag_outcomes import read_totals
from steward.clients.postgres import connect
from steward.clients.rollouts import read
from steward.rollout.record import Rollout
from steward.rollout.state import State
from steward.verdicts import Verdict

_OPERATION = "production-rollout"
#: The answer that a search gives which the release fails on purpose; whatever else fails is nobody's purpose.
DIALLED = "500"
_NONE: Mapping[str, Any] = {"users": 0, "failed_users": 0, "answers": 0, "last_at": 0.0}


@dataclass(frozen=True)
class CameTo:
    """One rollout, after its run."""

    rollout: Rollout
    verdict: Verdict
    run: FlowRun
    statement: Path
    counted: Mapping[str, int]
    """Users who got what is new, by what they met, as the database has them, of all steps together."""


def came_to(stage: Stage, run: FlowRun, release: str) -> CameTo:
    """Of the run's statement, which is written into a file. Raises RunFailed."""
    period = f"{release}/{run.id}"
    recorded = _told(stage, "list", "--operation", _OPERATION, "--subject", ENVIRONMENT, "--period", period)
    if not recorded:
        raise RunFailed(run, "without evidence")
    digest = str(recorded[0]["digest"])
    figures = _told(stage, "show", digest)["statement"]["predicate"]["figures"]
    with connect(stage.settings) as db:
        rollout = read(db, int(figures["rollout"]))
        totals = read_totals(db, rollout.flag, str(rollout.id))
    new = [each for each in totals if each.variant == rollout.variant]
    counted = {kind: sum(each.users for each in new if each.kind == kind) for kind in ("exposed", "error")}
    return CameTo(rollout, Verdict(recorded[0]["verdict"]), run, _exported(stage, digest, rollout), counted)


def _exported(stage: Stage, digest: str, rollout: Rollout) -> Path:
    folder = stage.shell.logs.parent / "demo" / "rollouts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"rollout-{rollout.id}-{rollout.release}.dsse.json"
    file.unlink(missing_ok=True)
    stage.shell.run("evidence", sys.executable, "-m", "steward.evidence", "export", digest, "--to", str(file))
    return file


def _told(stage: Stage, *arguments: str) -> Any:
    command = (sys.executable, "-m", "steward.evidence", *arguments, "--json")
    return json.loads("\n".join(stage.shell.lines("evidence", *command)))


def arm(seen: Mapping[str, Any], rollout: Rollout) -> Mapping[str, Any]:
    """What the users saw of what is new in the release."""
    return seen["arms"].get(f"{rollout.release} {rollout.variant}", _NONE)


def against_good(good: CameTo, seen: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be, of the release that was to go to everybody."""
    if good.verdict is not Verdict.VERIFIED or good.rollout.state is not State.CERTIFIED:
        yield f"{good.rollout.release} was to be certified, VERIFIED: it is {good.rollout.state}, {good.verdict}"
    if not arm(seen, good.rollout)["users"]:
        yield f"no user says to have had {good.rollout.release}'s new search"


def against_erring(erring: CameTo, seen: Mapping[str, Any]) -> Iterator[str]:
    """Of the one that was to be taken back."""
    rollout, new = erring.rollout, arm(seen, erring.rollout)
    if erring.verdict is not Verdict.REFUTED or rollout.state is not State.ROLLED_BACK:
        yield f"{rollout.release} was to be rolled back, REFUTED: it is {rollout.state}, {erring.verdict}"
    if rollout.withdrawn_at and (late := new["last_at"] - rollout.withdrawn_at.timestamp()) > rollout.lease_seconds:
        yield f"users were exposed {late:.1f} s after it was taken back: longer than its lease of {rollout.lease_seconds:g} s"
    for kind, own in (("exposed", new["users"]), ("error", new["failed_users"])):
        if erring.counted[kind] != own:
            yield f"users {kind}: {erring.counted[kind]:,} as the judge counted, {own:,} as they say themselves"


def against_traffic(seen: Mapping[str, Any]) -> Iterator[str]:
    """Of what the users met beside what the releases fail on purpose."""
    others = {kind: count for kind, count in seen["failures"].items() if kind != DIALLED}
    if others:
        yield "requests failed that no release fails: " + ", ".join(f"{count} {kind}" for kind, count in others.items())
    if seen["turned_away"]:
        yield f"{seen['turned_away']} sessions were turned away: this machine is too slow for so many users"


def seconds_to_roll_back(erring: CameTo, seen: Mapping[str, Any]) -> tuple[float, float] | None:
    """From the first exposure to its being taken back, and from there to the last answer of what was new; None: it was not."""
    rollout = erring.rollout
    if rollout.exposed_at is None or rollout.withdrawn_at is None:
        return None
    after = arm(seen, rollout)["last_at"] - rollout.withdrawn_at.timestamp()
    return (rollout.withdrawn_at - rollout.exposed_at).total_seconds(), max(0.0, after)
