"""Ground for tests of the moment proof: an index of one's own on production, its copy on scratch, and the proof between."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from steward.clients.elasticsearch import SearchClient, open_search
from steward.settings import Settings
from steward.snapshots.content import ContentReport, IndexContent
from steward.snapshots.moments import Moments, close_points_in_time, open_moment
from steward.snapshots.proof import prove
from steward.snapshots.restoring import Restored, restore
from steward.snapshots.taking import SnapshotTaken, take_snapshot

REPOSITORY = "nightly"
# Whatever else is in a document is kept and not interpreted, as the tenants' template has it.
MAPPINGS = {"dynamic": False, "properties": {"name": {"type": "keyword"}, "members": {"type": "nested"}}}


@dataclass
class Stage:
    """One index between two clusters, each reached as the user who does that in production."""

    provision: SearchClient
    tenants: SearchClient
    source: SearchClient
    scratch: SearchClient
    index: str
    snapshot: str
    prefix: str
    opened: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def create(self, settings: Mapping[str, Any] | None = None, mappings: Mapping[str, Any] | None = None) -> None:
        self.provision.request(
            "PUT",
            f"/{self.index}",
            {
                "settings": {"number_of_shards": 2, "number_of_replicas": 1, **(settings or {})},
                "mappings": mappings or MAPPINGS,
            },
        )

    def write(self, documents: int, *, start: int = 0) -> None:
        """Nested documents with decimals that a re-print would change; every seventh is routed, every ninth deleted."""
        api = self.tenants.elasticsearch
        lines: list[dict[str, Any]] = []
        for n in range(start, start + documents):
            target = {"_index": self.index, "_id": f"doc-{n:05d}"}
            if n % 7 == 0:
                target["routing"] = f"r{n % 5}"
            body = {"name": f"n{n}", "amount": 1.10 + n, "members": [{"name": "a"}, {"name": "b", "n": n}]}
            lines += [{"index": target}, body]
            if n % 9 == 0:
                lines.append({"delete": target})
        assert not api.bulk(operations=lines)["errors"]

    def moment(self) -> Moments:
        return open_moment(self.source, [self.index], on_opened=self.opened.extend)

    def take(self, m0: Moments) -> SnapshotTaken:
        return take_snapshot(
            self.source,
            REPOSITORY,
            self.snapshot,
            [self.index],
            m0,
            {"by": self.prefix},
            include_global_state=False,
            on_opened=self.opened.extend,
        )

    def restore(self) -> Restored:
        return restore(
            self.scratch,
            REPOSITORY,
            self.snapshot,
            [self.index],
            self.prefix,
            on_created=self.made.extend,
        )

    def night(self) -> Night:
        m0 = self.moment()
        taken = self.take(m0)
        return Night(self, m0, taken, self.restore())

    @property
    def copy(self) -> str:
        return self.prefix + self.index

    def unlock(self) -> None:
        """Let the copy be written to, as only a test would."""
        self.scratch.request("PUT", f"/{self.copy}/_settings", {"index.blocks.write": False})


@dataclass
class Night:
    stage: Stage
    m0: Moments
    taken: SnapshotTaken
    restored: Restored

    def prove(self, **options: Any) -> ContentReport:
        stage = self.stage
        return prove(stage.source, stage.scratch, self.m0, self.restored, self.taken.moments, **options)

    def content(self, **options: Any) -> IndexContent:
        return self.prove(**options).indices[0]


@contextmanager
def staged(settings: Settings) -> Generator[Stage]:
    """A stage with names of its own; on leaving nothing of it is left on either cluster."""
    own = uuid.uuid4().hex[:8]
    with ExitStack() as stack:

        def reach(cluster: str, user: str) -> SearchClient:
            return stack.enter_context(open_search(settings, cluster, user))

        stage = Stage(
            reach("production", "provision"),
            reach("production", "tenants"),
            reach("production", "snapshot"),
            reach("scratch", "restore"),
            f"tenant-proof-{own}-000001",
            f"proof-{own}",
            f"proof-{own}-",
        )
        try:
            yield stage
        finally:
            close_points_in_time(stage.source, stage.opened)
            stage.source.request("DELETE", f"/_snapshot/{REPOSITORY}/{stage.snapshot}", ok=(404,))
            stage.scratch.request("DELETE", f"/{stage.copy}?ignore_unavailable=true")
            stage.provision.request("DELETE", f"/{stage.index}", ok=(404,))


@contextmanager
def writable_copies(settings: Settings) -> Generator[None]:
    """While the block lasts, the user that restores may also write on the scratch cluster. In production nobody may:
    a test that damages a copy must first be let in.
    """
    described = settings.cluster("scratch")
    before = {path: path.read_text() for path in described.role_files}
    try:
        for path, text in before.items():
            roles = yaml.safe_load(text)
            roles["steward_restore"]["indices"].append({"names": ["proof-*"], "privileges": ["write"]})
            path.write_text(yaml.safe_dump(roles))
        _await_permission(settings)
        yield
    finally:
        for path, text in before.items():
            path.write_text(text)


def _await_permission(settings: Settings) -> None:
    """Nodes read their role files again every few seconds."""
    asked = {"index": [{"names": ["proof-x"], "privileges": ["write"]}]}
    with open_search(settings, "scratch", "restore") as client:
        deadline = time.monotonic() + 60
        while not client.request("POST", "/_security/user/_has_privileges", asked)["has_all_requested"]:
            assert time.monotonic() < deadline, "the scratch node did not read its roles again"
            time.sleep(0.5)
