"""A moment: a point in time on every shard, with what it is known to show. Plain values, so that a run can resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from steward.snapshots.api import SearchApi, in_request_lines
from steward.snapshots.assessment import Edge
from steward.snapshots.eligibility import IndexFacts, examine_indices
from steward.snapshots.errors import PrimaryMoved, RefreshIncomplete
from steward.snapshots.shards import NOT_FOUND, Primary, Shard, await_global_checkpoint, primaries

#: Points in time opened at once; each takes a round trip and next to no work.
OPENERS = 4
#: Attempts that a moving primary may cost; then the cluster is too unsteady to be proved.
MOVES_BORNE = 4

OnOpened = Callable[[list[str]], None]
"""Told the ids of points in time at once when they are open, so that a caller can record what it must close."""


#: How long a point in time lives that nobody has noted yet: its opener may die before it can say what there is to close.
UNNOTED = "1m"


@dataclass(frozen=True)
class _Opening:
    keep: str
    told: OnOpened


class Moment(BaseModel):
    """A point in time on one shard.

    It shows every operation up to `complete` and none above `ceiling`. `began` and `ended` frame its reading, on the
    wall clock and on the machine's monotonic clock.
    """

    model_config = ConfigDict(frozen=True)

    index: str
    shard: int
    pit: str
    complete: int
    ceiling: int
    term: int
    node: str
    began: float
    ended: float
    began_monotonic: float
    ended_monotonic: float

    @property
    def key(self) -> Shard:
        """Which shard it is of."""
        return Shard(self.index, self.shard)

    @property
    def edge(self) -> Edge:
        """What it is known to show."""
        return Edge(self.complete, self.ceiling, self.term)


class Moments(BaseModel):
    """A moment of each shard of several indices, and the facts of those indices when it was taken."""

    model_config = ConfigDict(frozen=True)

    moments: list[Moment] = []
    indices: dict[str, IndexFacts] = {}

    @property
    def pits(self) -> list[str]:
        """The ids to close."""
        return [moment.pit for moment in self.moments]

    @property
    def by_shard(self) -> dict[Shard, Moment]:
        """Each shard's moment."""
        return {moment.key: moment for moment in self.moments}

    @property
    def provable(self) -> list[str]:
        """The indices that can be proved."""
        return [name for name, facts in self.indices.items() if facts.refused is None]

    def of(self, indices: AbstractSet[str]) -> Moments:
        """Those of *indices* alone."""
        return Moments(
            moments=[moment for moment in self.moments if moment.index in indices],
            indices={name: facts for name, facts in self.indices.items() if name in indices},
        )

    def joined(self, other: Moments) -> Moments:
        """Both."""
        return Moments(moments=[*self.moments, *other.moments], indices={**self.indices, **other.indices})


def open_moment(
    api: SearchApi,
    indices: Iterable[str],
    *,
    hold: bool = True,
    only: AbstractSet[Shard] | None = None,
    keep: str = "30m",
    on_opened: OnOpened = lambda _: None,
    known: Mapping[str, IndexFacts] | None = None,
) -> Moments:
    """Open a point in time on every shard of *indices* (of *only*, where given), kept for *keep* after each use.

    *hold*: wait until all that it shows is on every in-sync copy, so that a commit made afterwards holds it too.
    *known*: the indices' facts, where they were read already. An index that cannot be proved gets no point in time; its
    facts say why. Raises IndexNotFound, PrimaryUnsteady, CheckpointBehind, RefreshIncomplete; what was opened before
    that is closed.
    """
    facts = {name: known[name] for name in indices} if known else examine_indices(api, indices)
    names = [name for name, each in facts.items() if each.refused is None]
    if not names:
        return Moments(indices=facts)
    opening, moves = _Opening(keep, on_opened), 0
    while True:
        try:
            moments, uuids = _attempt(api, names, only, opening, hold=hold)
            facts |= {name: facts[name].model_copy(update={"uuid": uuid}) for name, uuid in uuids.items()}
            return Moments(moments=moments, indices=facts)
        except PrimaryMoved:
            if (moves := moves + 1) > MOVES_BORNE:
                raise


def _attempt(
    api: SearchApi, names: list[str], only: AbstractSet[Shard] | None, opening: _Opening, *, hold: bool
) -> tuple[list[Moment], dict[str, str]]:
    """The moments, and the UUIDs that their indices had."""
    began, began_monotonic = time.time(), time.monotonic()
    before = primaries(api, names, only)
    # A point in time shows the last refresh, and a refresh only what has arrived: without this wait and refresh
    # tens of thousands of operations were missing from it, each a false refutation.
    await_global_checkpoint(api, before)
    _refresh(api, sorted({shard.index for shard in before}))
    pits = _open_all(api, before, opening)
    try:
        after = _confirmed(api, names, before, hold=hold)
    except BaseException:
        close_points_in_time(api, pits.values())
        raise
    ended, ended_monotonic = time.time(), time.monotonic()
    moments = [
        Moment(
            index=shard.index,
            shard=shard.number,
            pit=pits[shard],
            complete=primary.max_seq_no,
            ceiling=after[shard].max_seq_no,
            term=primary.term,
            node=primary.node,
            began=began,
            ended=ended,
            began_monotonic=began_monotonic,
            ended_monotonic=ended_monotonic,
        )
        for shard, primary in sorted(before.items())
    ]
    return moments, {shard.index: primary.uuid for shard, primary in before.items()}


def close_points_in_time(api: SearchApi, pits: Iterable[str]) -> None:
    """Close them; one that is gone already is closed."""
    for pit in pits:
        api.request("DELETE", "/_pit", {"id": pit}, ok=(NOT_FOUND,))


def keep_open(api: SearchApi, moments: Moments, keep: str = "30m") -> None:
    """Make *moments* last for *keep* from now on. One that is lost stays lost: the proof will say so."""
    for pit in moments.pits:
        _keep(api, pit, keep)


def _keep(api: SearchApi, pit: str, keep: str) -> None:
    body = {"size": 0, "track_total_hits": False, "pit": {"id": pit, "keep_alive": keep}}
    api.raw("POST", "/_search", body, ok=(NOT_FOUND,))


def _confirmed(
    api: SearchApi, names: list[str], before: Mapping[Shard, Primary], *, hold: bool
) -> dict[Shard, Primary]:
    """The primaries after the points in time were opened: the same ones, or the bounds would mean nothing."""
    after = primaries(api, names, before.keys())
    if hold:
        await_global_checkpoint(api, after)
    moved = [s for s, p in before.items() if (p.term, p.node, p.uuid) != (after[s].term, after[s].node, after[s].uuid)]
    if moved:
        raise PrimaryMoved(
            f"the primary of {min(moved)} moved while points in time were opened ({len(moved)} shards)",
            hint="a new attempt will do once the cluster has settled",
        )
    return after


def _refresh(api: SearchApi, indices: Iterable[str]) -> None:
    for names in in_request_lines(indices):
        shards = api.request("POST", f"/{names}/_refresh")["_shards"]
        if shards["failed"]:
            raise RefreshIncomplete(
                f"the refresh failed on {shards['failed']} of {shards['total']} shard copies",
                hint="look at the cluster's health and breakers, then run again",
            )


def _open_all(api: SearchApi, shards: Mapping[Shard, Primary], opening: _Opening) -> dict[Shard, str]:
    def open_one(shard: Shard) -> str:
        # On the primary: its bounds are the ones that were read.
        preference = f"_shards:{shard.number}|_only_nodes:{shards[shard].node}"
        query = urlencode({"keep_alive": UNNOTED, "preference": preference})
        return api.request("POST", f"/{shard.index}/_pit?{query}")["id"]

    opened: dict[Shard, str] = {}
    with ThreadPoolExecutor(OPENERS) as pool:
        try:
            for shard, pit in zip(shards, pool.map(open_one, shards), strict=True):
                opened[shard] = pit
                opening.told([pit])
                _keep(api, pit, opening.keep)
        except BaseException:
            close_points_in_time(api, opened.values())
            raise
    return opened
