"""Take a snapshot between two moments."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from steward.snapshots.api import SearchApi
from steward.snapshots.errors import SnapshotIncomplete, SnapshotNameTaken, SnapshotRefused, SnapshotSlow
from steward.snapshots.moments import Moments, OnOpened, keep_open, open_moment
from steward.snapshots.shards import NOT_FOUND, Shard

#: Fast while PIT1 is to be opened, because what is written between the commit and PIT1 cannot always be decided.
EAGER_SECONDS = 0.05
PATIENT_SECONDS = 0.5
#: Groups of shards whose PIT1 is opened at the same time.
OPENERS = 4
BAD_REQUEST = 400
UNDER_WAY = frozenset({"INIT", "STARTED", "IN_PROGRESS"})
TIMEOUT_SECONDS = 4 * 3600.0
#: Points in time are used this often, so that an upload of hours does not let them expire.
KEEP_OPEN_SECONDS = 300.0


class SnapshotTaken(BaseModel):
    """A finished snapshot and the moment after its commits. Bytes as the repository counts them, times in epoch seconds."""

    model_config = ConfigDict(frozen=True)

    repository: str
    name: str
    uuid: str
    started_at: float
    ended_at: float
    indices: list[str]
    shards: int
    bytes: int
    files: int
    incremental_bytes: int
    incremental_files: int
    upload_seconds: float
    before: Moments
    """PIT0."""
    moments: Moments
    """PIT1."""
    missing: list[str] = []
    """Indices of PIT0 that are not in the snapshot: deleted meanwhile."""


def take_snapshot(  # noqa: PLR0917  in the order in which the request is told
    api: SearchApi,
    repository: str,
    name: str,
    indices: Sequence[str],
    m0: Moments,
    metadata: Mapping[str, Any],
    *,
    include_global_state: bool = True,
    feature_states: Sequence[str] = ("none",),
    keep: str = "30m",
    on_opened: OnOpened = lambda _: None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> SnapshotTaken:
    """Take snapshot *name* of *indices*, or take up the one that an earlier attempt began with the same *metadata*.

    Opens PIT1 on each shard of *m0* as soon as it has its commit, then waits for the upload. Raises SnapshotIncomplete
    where it ends other than SUCCESS, SnapshotNameTaken where another run's has this name, SnapshotSlow.
    """
    path = f"/_snapshot/{quote(repository, safe='')}/{quote(name, safe='')}"
    body = {
        "indices": ",".join(indices),
        "include_global_state": include_global_state,
        "feature_states": list(feature_states),
        "partial": False,
        "ignore_unavailable": False,
        "metadata": dict(metadata),
    }
    if _find(api, path, metadata) is None:
        # Sent again after its answer was lost, the call finds the name taken: by itself.
        answer = api.request("PUT", f"{path}?wait_for_completion=false", body, ok=(BAD_REQUEST,))
        if not answer.get("accepted") and _find(api, path, metadata) is None:
            raise SnapshotRefused(
                f"the repository refuses snapshot {name}: {answer.get('error', {}).get('reason', answer)}",
                hint="look at the repository and at what else runs on it",
            )
    taking = _Taking(api, path, m0, keep, on_opened, time.monotonic() + timeout_seconds)
    m1 = taking.open_after_commits()
    return _taken(repository, taking.finished(m1), _status(api, path), m0, m1)


def every(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
    """*action*, called at most once in *seconds* however often it is asked for."""
    last = time.monotonic()

    def act() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            action()

    return act


def _find(api: SearchApi, path: str, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The snapshot of this name, if an earlier attempt of the same run made it."""
    found = api.request("GET", path, ok=(NOT_FOUND,)).get("snapshots", [])
    if not found:
        return None
    if found[0].get("metadata", {}) != dict(metadata):
        raise SnapshotNameTaken(
            f"snapshot {path.rsplit('/', 1)[1]} exists, taken by another run",
            hint="a later attempt takes the next name; delete this one only if nothing refers to it",
        )
    return found[0]


@dataclass
class _Taking:
    """A snapshot under way at *path*."""

    api: SearchApi
    path: str
    m0: Moments
    keep: str
    on_opened: OnOpened
    deadline: float
    lock: Lock = field(default_factory=Lock)

    def open_after_commits(self) -> Moments:
        """PIT1 of each shard once its stage has left INIT: then its commit is made, and no upload need be awaited."""
        touch = every(KEEP_OPEN_SECONDS, lambda: keep_open(self.api, self.m0, self.keep))
        wanted = set(self.m0.by_shard)
        begun: set[Shard] = set()
        futures: list[Future[Moments]] = []
        # Each group at once and beside the others: what is written until its PIT1 is open cannot always be decided.
        with ThreadPoolExecutor(OPENERS) as pool:
            while waiting := wanted - begun:
                status = _status(self.api, self.path)
                if ready := committed_shards(status) & waiting:
                    begun |= ready
                    futures.append(pool.submit(self._open, ready))
                elif status and status["state"] not in UNDER_WAY:
                    # An index deleted meanwhile never begins; whether that is right, the caller's expectations say.
                    break
                else:
                    self._wait(EAGER_SECONDS, touch)
        m1 = Moments()
        for future in futures:
            m1 = m1.joined(future.result())
        return m1

    def _open(self, shards: set[Shard]) -> Moments:
        names = sorted({shard.index for shard in shards})
        return open_moment(
            self.api,
            names,
            hold=False,
            only=shards,
            keep=self.keep,
            on_opened=self.told,
            known=self.m0.indices,
        )

    def told(self, pits: list[str]) -> None:
        """One at a time: the caller's record need not be safe for threads."""
        with self.lock:
            self.on_opened(pits)

    def finished(self, m1: Moments) -> dict[str, Any]:
        """What the repository says of it once it has ended in SUCCESS."""
        touch = every(KEEP_OPEN_SECONDS, lambda: keep_open(self.api, self.m0.joined(m1), self.keep))
        while (info := self.api.request("GET", self.path)["snapshots"][0])["state"] in UNDER_WAY:
            self._wait(PATIENT_SECONDS, touch)
        failed = info["shards"]["failed"]
        if info["state"] != "SUCCESS" or failed:
            raise SnapshotIncomplete(
                f"snapshot {info['snapshot']} ended {info['state']}, {failed} of {info['shards']['total']} shards failed: "
                f"{_first_failure(info)}",
                hint="it does not count; look at the node that held the shard, then run attempt 2",
            )
        return info

    def _wait(self, seconds: float, touch: Callable[[], None]) -> None:
        if time.monotonic() > self.deadline:
            raise SnapshotSlow(
                f"snapshot {self.path.rsplit('/', 1)[1]} has not ended in its time",
                hint="see GET _snapshot/_status for how far it is; a run that resumes takes it up where it is",
            )
        touch()
        time.sleep(seconds)


def _first_failure(info: Mapping[str, Any]) -> str:
    failures = info.get("failures", [])
    return next((f"{each['index']}[{each['shard_id']}]: {each['reason'][:200]}" for each in failures), "no shard named")


def committed_shards(status: Mapping[str, Any]) -> set[Shard]:
    """The shards of a `_status` answer's snapshot that have their commit."""
    return {
        Shard(index, int(number))
        for index, facts in status.get("indices", {}).items()
        for number, shard in facts["shards"].items()
        if shard["stage"] != "INIT"
    }


def _status(api: SearchApi, path: str) -> dict[str, Any]:
    found = api.request("GET", f"{path}/_status", ok=(NOT_FOUND,)).get("snapshots", [])
    return found[0] if found else {}


def _taken(
    repository: str, info: Mapping[str, Any], status: Mapping[str, Any], m0: Moments, m1: Moments
) -> SnapshotTaken:
    stats: dict[str, Any] = status.get("stats", {})
    total, new = stats.get("total", {}), stats.get("incremental", {})
    return SnapshotTaken(
        repository=repository,
        name=info["snapshot"],
        uuid=info["uuid"],
        started_at=info["start_time_in_millis"] / 1000,
        ended_at=info["end_time_in_millis"] / 1000,
        indices=sorted(info["indices"]),
        shards=info["shards"]["total"],
        bytes=total.get("size_in_bytes", 0),
        files=total.get("file_count", 0),
        incremental_bytes=new.get("size_in_bytes", 0),
        incremental_files=new.get("file_count", 0),
        upload_seconds=stats.get("time_in_millis", 0) / 1000,
        before=m0,
        moments=m1,
        missing=sorted(m0.indices.keys() - set(info["indices"])),
    )
