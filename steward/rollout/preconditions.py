"""What is found before a rollout touches anything."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from steward.errors import BadInput
from steward.rollout.gates import GatesReport
from steward.rollout.plan import EXPOSED


class Preconditions(BaseModel):
    """Where the release is to go, and what speaks for letting it go out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    colour: str
    """Idle: the release is put there."""
    previous_colour: str
    previous_release: str | None
    """What has the traffic now; None: nobody says."""
    variant: str
    slow_ms: float
    """The baseline's p95 over the last minutes: slower than that is slow."""
    gates: GatesReport
    agreement: str
    """Between the SDKs, in words."""


class NotReady(BadInput):
    """The environment is not as a rollout needs it; nothing was touched."""


def colours_of(serving: Iterable[str], known: Iterable[str]) -> tuple[str, str]:
    """The idle colour, and the one that has the traffic. Raises NotReady."""
    live, every = sorted(serving), sorted(known)
    idle = [name for name in every if name not in live]
    if len(live) != 1 or len(idle) != 1:
        raise NotReady(
            f"the traffic goes to {' and '.join(live) or 'nobody'}, of {', '.join(every) or 'no colour'}; "
            "expected one colour that has all of it, and one that is idle",
            hint="send it to one: python -m steward rollout direct ENVIRONMENT COLOUR",
        )
    return idle[0], live[0]


def require_release(release: str, known: Iterable[str], live: str | None) -> None:
    """Raises NotReady for one that the host does not know, or that is live already."""
    names = sorted(known)
    if release not in names:
        near = difflib.get_close_matches(release, names, n=3)
        raise NotReady(
            f"there is no release {release!r}; known: {', '.join(names[:20]) or 'none'}",
            hint=f"did you mean {' or '.join(near)}?" if near else "see whether it was built and handed to the host",
        )
    if release == live:
        raise NotReady(f"release {release} has the traffic already", hint="name the release that is to follow it")


def require_counted(metrics: Iterable[str], counted: Iterable[str], colour: str) -> None:
    """Raises NotReady for a metric that *colour* does not count: nothing would ever be known of it."""
    kinds = sorted({*counted} - {EXPOSED})
    unknown = [name for name in metrics if name not in kinds]
    if unknown:
        near = sorted({match for name in unknown for match in difflib.get_close_matches(name, kinds, n=1)})
        raise NotReady(
            f"{colour} does not count {' and '.join(unknown)}; it counts {', '.join(kinds) or 'nothing'}; "
            "expected every metric of the plan",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else "name the kind where the application starts (docs/flags-in-an-application.md), let that release out, then ask anew",
        )


def require_gates(report: GatesReport) -> None:
    """Raises NotReady where evidence is lacking or against it."""
    if report.against:
        told = "; ".join(f"{each.gate}: {each.verdict}, {each.says}" for each in report.against)
        raise NotReady(
            f"release {report.release} has not passed its quality gates: {told}",
            hint="run the pipeline for this release; or, if the plan asks for too much, say so in `gates`",
        )
