"""One night's proof by its parts: moments, snapshot, restore. What the flow does, without Prefect around it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from steward.clients.elasticsearch import SearchClient, open_search
from steward.settings import Settings
from steward.snapshots.moments import Moments, close_points_in_time, open_moment
from steward.snapshots.restoring import Restored, drop_restored, restore
from steward.snapshots.taking import SnapshotTaken, take_snapshot

REPOSITORY = "nightly"
ABSENT = 404


@dataclass(frozen=True)
class Copy:
    """A snapshot restored on the scratch cluster, and all that a comparison needs."""

    source: SearchClient
    scratch: SearchClient
    before: Moments
    taken: SnapshotTaken
    restored: Restored


@contextmanager
def restored_copy(settings: Settings, indices: Sequence[str], name: str) -> Generator[Copy]:
    """Snapshot *indices* as *name* and restore them; on leaving, nothing of it is left."""
    with (
        open_search(settings, "production", "snapshot") as source,
        open_search(settings, "scratch", "restore") as scratch,
    ):
        opened: list[str] = []
        uuids: dict[str, str] = {}
        try:
            before = open_moment(source, indices, on_opened=opened.extend)
            taken = take_snapshot(source, REPOSITORY, name, indices, before, {}, on_opened=opened.extend)
            restored = restore(scratch, REPOSITORY, name, indices, f"{name}-", on_created=uuids.update)
            yield Copy(source, scratch, before, taken, restored)
        finally:
            drop_restored(scratch, uuids)
            close_points_in_time(source, opened)
            source.request("DELETE", f"/_snapshot/{REPOSITORY}/{name}", ok=(ABSENT,))
