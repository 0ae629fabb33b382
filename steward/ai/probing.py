"""What one unbilled question tells of an account at a provider, and what a series of them tells.

Time in which nobody asked is unknown, and never uptime.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from itertools import pairwise

from pydantic import AwareDatetime, BaseModel, ConfigDict

#: How often the watch asks.
EVERY_SECONDS = 30.0
#: For so long an answer stands; after that nobody knows. Two rounds that were missed are weather.
COVERS = dt.timedelta(seconds=90)
#: What is promised of answers, the provider included. A list of models that takes longer is no good sign.
SLOW_MILLISECONDS = 2000
#: One failure is weather, two in a row are news; unless they are two watches' view of one moment.
_FAILURES, _APART = 2, dt.timedelta(seconds=10)


class ProviderState(StrEnum):
    """Of one account at a provider."""

    UP = "up"
    DEGRADED = "degraded"
    """It answers, and late; or it says that it has too much to do (429)."""
    DOWN = "down"
    """It does not answer, or with an error of its own."""
    REFUSED = "refused"
    """It answers, and takes our question not: the key, the project, the address. The provider is well."""
    UNKNOWN = "unknown"
    """It was not asked."""


ANSWERING = frozenset({ProviderState.UP, ProviderState.DEGRADED})
FAILING = frozenset({ProviderState.DOWN, ProviderState.REFUSED})


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Probe(_Frozen):
    """One account, asked once. It holds neither a key nor a word of the answer's body."""

    account: str
    provider: str
    state: ProviderState
    http_status: int | None = None
    latency_ms: int | None = None
    error_class: str | None = None
    told: str = ""
    """For people, where the reason is ours to tell; not kept."""


def classify(http_status: int, latency_ms: int, *, is_json: bool) -> tuple[ProviderState, str | None]:
    """Of an answer's head: the state, and the name of what is not well.

    What is no JSON does not come from the API: a proxy on the way, or a page that says sorry.
    """
    told = f"http_{http_status}"
    if http_status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProviderState.DEGRADED, "throttled"
    if http_status == HTTPStatus.REQUEST_TIMEOUT or http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderState.DOWN, told
    if not HTTPStatus.OK <= http_status < HTTPStatus.MULTIPLE_CHOICES:
        return ProviderState.REFUSED, told
    if not is_json:
        return ProviderState.DOWN, "not_the_api"
    return (ProviderState.DEGRADED, "slow") if latency_ms > SLOW_MILLISECONDS else (ProviderState.UP, None)


@dataclass(frozen=True, slots=True)
class Span:
    """Probes of one state in a row, each within COVERS of the one before."""

    state: ProviderState
    first: dt.datetime
    last: dt.datetime
    probes: int = 1


class Uptime(_Frozen):
    """Seconds of a window by state. `unknown`: nobody asked, or nobody could."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0
    refused: float = 0.0
    unknown: float = 0.0

    @property
    def known(self) -> float:
        """In which it is known whether the provider answered. What it refused for our key says nothing of it."""
        return self.up + self.degraded + self.down

    @property
    def percent(self) -> float | None:
        """Of the known time; None: there is none. A probe that failed is never rounded away."""
        # In whole microseconds, as the spans have them: a float may be just below what it stands for, and is cut off here.
        well, known = round((self.up + self.degraded) * 1_000_000), round(self.known * 1_000_000)
        return well * 100_000 // known / 1000 if known else None


def uptime(spans: Sequence[Span], since: dt.datetime, until: dt.datetime) -> Uptime:
    """Of one account's *spans*, oldest first. Each state stands until the next probe, for COVERS at most."""
    seconds = dict.fromkeys(ProviderState, 0.0)
    for span, follower in pairwise([*spans, None]):
        if span is not None:
            end = min(span.last + COVERS, follower.first if follower else until, until)
            seconds[span.state] += max(0.0, (end - max(span.first, since)).total_seconds())
    known = sum(each for state, each in seconds.items() if state is not ProviderState.UNKNOWN)
    seconds[ProviderState.UNKNOWN] = max(0.0, (until - since).total_seconds() - known)
    return Uptime(**{str(state): each for state, each in seconds.items()})


class Standing(_Frozen):
    """How an account stands."""

    state: ProviderState
    since: AwareDatetime | None = None
    """None: nobody ever asked."""


def standing(spans: Sequence[Span], now: dt.datetime) -> Standing:
    """By the watch's probes. UNKNOWN since the last of them stopped to speak for it."""
    if not spans:
        return Standing(state=ProviderState.UNKNOWN)
    newest = spans[-1]
    if now - newest.last > COVERS:
        return Standing(state=ProviderState.UNKNOWN, since=newest.last + COVERS)
    return Standing(state=newest.state, since=newest.first)


def news(spans: Sequence[Span]) -> Standing | None:
    """What is to be told of an account if it was not told before: that it fails, after two failures; that it is back, after one answer.

    None: nothing is certain. Probes that could not be made are no failures of the provider.
    """
    known = [span for span in spans if span.state is not ProviderState.UNKNOWN]
    if not known:
        return None
    newest = known[-1]
    if newest.state in ANSWERING:
        return Standing(state=ProviderState.UP, since=newest.first)
    run = [newest]
    for span in reversed(known[:-1]):
        if span.state not in FAILING or run[0].first - span.last > COVERS:
            break
        run.insert(0, span)
    certain = sum(span.probes for span in run) >= _FAILURES and newest.last - run[0].first >= _APART
    return Standing(state=newest.state, since=run[0].first) if certain else None
