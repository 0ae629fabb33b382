"""What a shard's primary says of its sequence numbers: the figures that bound a point in time and a commit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

from steward.snapshots.api import SearchApi, in_request_lines
from steward.snapshots.assessment import Commit
from steward.snapshots.errors import CheckpointBehind, IndexNotFound, PrimaryUnsteady

NOT_FOUND = 404
#: Seconds for replicas to confirm what the primary has. They lag by milliseconds; a minute means that one hangs.
CONFIRM_SECONDS = 60
POLL_SECONDS = 0.02
#: A primary that relocates, as it may after an index was made, is started again in a second or a few.
SETTLE_SECONDS = 60
SETTLE_POLL_SECONDS = 0.25

STATS = (
    "/_stats/docs?level=shards&filter_path=indices.*.shards.*.seq_no,indices.*.shards.*.routing,"
    "indices.*.shards.*.commit.user_data"
)
METADATA = "?filter_path=metadata.indices.*.primary_terms,metadata.indices.*.settings.index.uuid"


@dataclass(frozen=True, order=True, slots=True)
class Shard:
    """One shard of one index."""

    index: str
    number: int

    def __str__(self) -> str:
        return f"{self.index}[{self.number}]"


class Primary(NamedTuple):
    """A started primary. `commit` is that of its last commit; `uuid` its index's."""

    max_seq_no: int
    global_checkpoint: int
    term: int
    node: str
    commit: Commit
    uuid: str


def primaries(api: SearchApi, indices: Iterable[str], only: AbstractSet[Shard] | None = None) -> dict[Shard, Primary]:
    """Every primary of *indices* (of *only*, where given), awaited until it is started and stays where it is.

    Raises IndexNotFound, and PrimaryUnsteady where one does not start in its time.
    """
    names = list(indices)
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        found, known = _read(api, names)
        if absent := set(names) - {shard.index for shard in known}:
            raise IndexNotFound(
                f"index {min(absent)} does not exist", hint="it was deleted or made anew since it was listed; run again"
            )
        expected = known if only is None else set(only)
        if not (missing := expected - (found.keys() & known)):
            return {shard: found[shard] for shard in expected}
        if time.monotonic() > deadline:
            raise PrimaryUnsteady(
                f"{min(missing)} has no started primary ({len(missing)} of {len(expected)} shards)",
                hint="wait until the cluster's health is green and nothing relocates, then run again",
            )
        time.sleep(SETTLE_POLL_SECONDS)


def started_primaries(api: SearchApi, indices: Iterable[str]) -> dict[Shard, Primary]:
    """The primaries of *indices* that are started now; what is missing is not an error."""
    return _read(api, indices)[0]


def _read(api: SearchApi, indices: Iterable[str]) -> tuple[dict[Shard, Primary], set[Shard]]:
    """The started primaries, and every shard that the indices which exist are made of."""
    found: dict[Shard, Primary] = {}
    every: set[Shard] = set()
    for names in in_request_lines(indices):
        copies = _started(api, names)
        known = _metadata(api, names)
        every |= {Shard(index, int(number)) for index, facts in known.items() for number in facts["primary_terms"]}
        found |= {
            shard: _primary(copy, known[shard.index], shard.number) for shard, copy in copies.items() if shard in every
        }
    return found, every


def _started(api: SearchApi, names: str) -> dict[Shard, dict[str, Any]]:
    """What started primaries say of themselves."""
    stats = api.request("GET", f"/{names}{STATS}&ignore_unavailable=true").get("indices", {})
    return {
        Shard(index, int(number)): copy
        for index, facts in stats.items()
        for number, copies in facts["shards"].items()
        for copy in copies
        if copy["routing"]["primary"] and copy["routing"]["state"] == "STARTED"
    }


def await_global_checkpoint(api: SearchApi, wanted: Mapping[Shard, Primary]) -> None:
    """Until every in-sync copy holds what *wanted*'s primaries had: then no failover can lose it."""
    deadline = time.monotonic() + CONFIRM_SECONDS
    late = dict(wanted)
    while True:
        # One request a turn: what is written between a commit and PIT1 cannot always be decided, so this must be fast.
        now: dict[Shard, dict[str, Any]] = {}
        for names in in_request_lines(sorted({shard.index for shard in late})):
            now |= _started(api, names)
        late = {s: p for s, p in late.items() if s not in now or now[s]["seq_no"]["global_checkpoint"] < p.max_seq_no}
        if not late:
            return
        if time.monotonic() > deadline:
            raise CheckpointBehind(
                f"the global checkpoint of {min(late)} stayed below {wanted[min(late)].max_seq_no:,} for {CONFIRM_SECONDS} s",
                hint="a replica does not confirm: look at its node and at the shard's recovery, then run again",
            )
        time.sleep(POLL_SECONDS)


def _metadata(api: SearchApi, names: str) -> dict[str, Any]:
    path = f"/_cluster/state/metadata/{names}{METADATA}&ignore_unavailable=true"
    return api.request("GET", path, ok=(NOT_FOUND,)).get("metadata", {}).get("indices", {})


def _primary(copy: Mapping[str, Any], index: Mapping[str, Any], number: int) -> Primary:
    commit = copy["commit"]["user_data"]
    return Primary(
        max_seq_no=copy["seq_no"]["max_seq_no"],
        global_checkpoint=copy["seq_no"]["global_checkpoint"],
        term=index["primary_terms"][str(number)],
        node=copy["routing"]["node"],
        commit=Commit(int(commit["local_checkpoint"]), int(commit["max_seq_no"])),
        uuid=index["settings"]["index"]["uuid"],
    )
