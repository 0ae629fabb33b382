"""The way back after a rollout has ended: from which release to which, and by which colour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from steward.errors import BadInput
from steward.rollout.preconditions import NotReady
from steward.rollout.record import Release

#: For so long, whoever asks for the way back without naming what to leave is told of the one that was just gone: two people
#: who both ask at night go back one release, and not two.
SETTLED = timedelta(minutes=10)
#: How a traffic that a person directed is told from a roll back.
DIRECTED = "direct"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class By(_Frozen):
    """Who wants it, why, and by which way they said so."""

    who: str = Field(min_length=1, max_length=200, pattern=r"\S")
    why: str = Field(min_length=1, max_length=2000, pattern=r"\S")
    via: str = Field(min_length=1, max_length=40)


class RollBack(_Frozen):
    """One row: what was left after its rollout had ended, and for what. Times are the database's."""

    id: int
    environment: str
    release: str
    to_release: str
    who: str
    why: str
    via: str
    begun_at: AwareDatetime
    ended_at: AwareDatetime | None
    rollout: int | None
    """By which the release that is left was put up last; None: by none."""
    flag: str | None
    """Of that rollout."""

    def __str__(self) -> str:
        return f"roll back {self.id} of {self.environment} from {self.release} to {self.to_release}"


class Returned(_Frozen):
    """Where an environment is back at, and by whose doing."""

    environment: str
    left: str
    to: str | None
    """None: nobody knew what had the traffic before the rollout."""
    rollout: int | None
    """That put up what was left."""
    roll_back: int | None
    """None: the rollout was under way, and is withdrawn."""
    flag: str | None
    """Off for everybody."""
    who: str
    why: str
    begun_at: AwareDatetime
    ended_at: AwareDatetime
    joined: bool = False
    """It was under way, or over, when this was asked for."""
    ended_here: bool = False
    """By this call, and no other."""

    @property
    def seconds(self) -> float:
        """From its being decided to the traffic's being back."""
        return (self.ended_at - self.begun_at).total_seconds()

    def __str__(self) -> str:
        back = f"{self.environment} is back at {self.to or 'what it had before'}"
        return f"{back}: {self.left} was left in {self.seconds:.1f} s, {self.who}: {self.why}"


class OnColour(NamedTuple):
    """What the load balancer and the host say of one colour."""

    colour: str
    takes: bool
    """New requests are for it, whether or not it is well."""
    healthy: bool
    """At the load balancer."""
    release: str | None


class Way(NamedTuple):
    """By which colour, and what it needs first."""

    colour: str
    is_ready: bool
    """The release is there and healthy; else it is put up, or waited for."""
    is_gone: bool
    """The traffic is there, and nowhere else."""


class NoWayBack(BadInput):
    """There is no release to which one may return."""


def live_of(colours: Iterable[OnColour]) -> OnColour:
    """The one that has the traffic, and runs something. Raises NotReady."""
    every = sorted(colours)
    live = [each for each in every if each.takes]
    if len(live) != 1:
        told = " and ".join(f"{each.colour} ({each.release or 'nothing'})" for each in live)
        raise NotReady(
            f"the traffic goes to {told or 'nobody'}: which release is to be left cannot be said",
            hint="send it to one that is well: python -m steward rollout direct ENVIRONMENT COLOUR --because …",
        )
    if live[0].release is None:
        raise NotReady(
            f"{live[0].colour} has the traffic, and its host says that nothing runs there",
            hint="send it to one that is well: python -m steward rollout direct ENVIRONMENT COLOUR --because …",
        )
    return live[0]


def require_target(environment: str, live: str, target: Release | None, flag: str | None) -> Release:
    """Raises NoWayBack: an uncertified or a revoked release is never returned to by itself."""
    if target is None:
        off = f"take {flag} from everybody (its switch on the page of flags)" if flag else "switch its features off"
        raise NoWayBack(
            f"{environment} has no certified release besides {live} that was not revoked",
            hint=f"{off}; or, if you know another colour to be good: "
            f"python -m steward rollout direct {environment} COLOUR --because …",
        )
    return target


def way_to(release: str, colours: Iterable[OnColour]) -> Way:
    """Where *release* runs and is healthy, else where it runs, else an idle colour. Raises NotReady where there is none."""
    every = sorted(colours)
    taking = [each for each in every if each.takes]
    there = sorted(
        (each for each in every if each.release == release), key=lambda each: (not each.healthy, not each.takes)
    )
    if there:
        best = there[0]
        return Way(best.colour, is_ready=best.healthy, is_gone=taking == [best])
    idle = [each for each in every if not each.takes]
    if not idle:
        raise NotReady(
            f"{release} runs nowhere, and no colour is idle to put it on: {', '.join(each.colour for each in every)}",
            hint="send the traffic to one colour first: python -m steward rollout direct ENVIRONMENT COLOUR --because …",
        )
    return Way(idle[0].colour, is_ready=False, is_gone=False)
