"""Tonight's snapshot of two tenants, one of last night beside it, and all that a night knows when it is to judge them.

The repository is one of the drill's own, and so are its indices and its template: whatever else the clusters hold stays out
of it. Nobody writes while it is damaged, so that every difference that is found is the damage's.
"""

import base64
import hashlib
import json
import shutil
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from replica.elasticsearch import api, configuration
from replica.elasticsearch.api import Api
from replica.elasticsearch.clusters import HAND, PRODUCTION, SCRATCH
from replica.server import Place
from steward.clients.blobs_fs import FolderBlobs
from steward.clients.elasticsearch import SearchClient, open_search
from steward.repository import layout
from steward.repository.closure import Closure, closure_of
from steward.settings import Settings
from steward.snapshots import capture
from steward.snapshots.definitions import Definitions
from steward.snapshots.moments import Moments, close_points_in_time, keep_open, open_moment
from steward.snapshots.policy import GoldenQuery
from steward.snapshots.proof import prove
from steward.snapshots.restoring import drop_restored, restore
from steward.snapshots.taking import SnapshotTaken, take_snapshot
from tests.drills.faults import blobs
from tests.unit.blob_ground import Book

#: Of each tenant and night. Enough that each shard has several, few enough that a case takes seconds.
DOCUMENTS = 40
VICTIM, ROUTED = "doc-00011", "doc-00014"
SECONDS = 60
MAPPINGS = {
    "dynamic": False,
    "properties": {
        "name": {"type": "keyword"},
        "text": {"type": "text", "analyzer": "words"},
        "amount": {"type": "double"},
    },
}
SETTINGS = {"number_of_replicas": 0, "analysis": {"analyzer": {"words": {"type": "standard", "max_token_length": 40}}}}
QUERIES = [
    GoldenQuery(name="full text", query={"match": {"text": "considerations"}}),
    GoldenQuery(name="keyword", query={"prefix": {"name": "n1"}}),
]


@dataclass
class Hand:
    """May do anything in one cluster."""

    api: Api

    def ask(self, method: str, path: str, body: object = None, ok: tuple[int, ...] = ()):
        try:
            return self.api.call(method, path, body, timeout_seconds=SECONDS)
        except api.Refused as refused:
            if refused.status in ok:
                return {}
            raise


@dataclass
class Night:
    """What a night knows of its snapshot when it is to judge it."""

    taken: SnapshotTaken
    before: Definitions
    after: Definitions
    since: Moments
    """Before the snapshot; the ones after it are in `taken`."""


@dataclass
class Ground:
    """Both clusters, each reached as the users do who prove a night, and as one who may damage it."""

    place: Place
    settings: Settings
    source: SearchClient
    scratch: SearchClient
    production: Hand
    there: Hand
    name: str
    folder: Path
    """Below which every repository of the drill lies."""
    opened: list[str] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Indices that are proved in place of its own."""
    night: Night | None = None
    yesterday: str = ""
    """UUID of last night's snapshot."""
    book: Book = field(default_factory=blobs.book)
    """The record, with last night in it."""
    queries: list[GoldenQuery] = field(default_factory=lambda: list(QUERIES))
    digests: dict[str, str] = field(default_factory=dict)
    """Of tonight's content, by index."""

    @property
    def pattern(self) -> str:
        return f"tenant-{self.name}-*"

    def index(self, letter: str) -> str:
        return f"tenant-{self.name}-{letter}-000001"

    @property
    def indices(self) -> list[str]:
        return self.others or [self.index(letter) for letter in "ab"]

    @property
    def live(self) -> Path:
        """The repository that production writes to."""
        return self.folder / "live"

    @property
    def back(self) -> Path:
        """As the repository was last night."""
        return self.folder / "yesterday"

    @property
    def catalogue(self) -> layout.Catalogue:
        path = layout.catalogue_path(self.generation)
        return layout.catalogue(path, (self.live / path).read_bytes())

    @property
    def generation(self) -> int:
        """What the cluster itself says."""
        answer = self.production.ask("GET", "/_cluster/state/metadata?filter_path=metadata.repositories")
        return answer["metadata"]["repositories"][self.name]["generation"]

    def closure(self, folder: Path, snapshot: str) -> Closure:
        return closure_of(FolderBlobs(folder), self.generation, snapshot)

    def register(self, folder: Path, name: str) -> None:
        """On the scratch cluster, read-only, as a night has it."""
        body = {"type": "fs", "settings": {"location": str(folder), "readonly": True}}
        self.there.ask("PUT", f"/_snapshot/{name}?verify=false", body)
        self.repositories.append(name)

    def unregister(self, name: str) -> None:
        self.there.ask("DELETE", f"/_snapshot/{name}", ok=(404,))
        self.repositories.remove(name)

    def put_template(self, shards: int) -> None:
        """Above any other that fits, so that an index here is what its maker asks for, and a forged one can be, too."""
        body = {
            "index_patterns": [self.pattern],
            "priority": 900,
            "template": {"settings": {"number_of_shards": shards}},
        }
        self.production.ask("PUT", f"/_index_template/{self.name}", body)

    def write(self, start: int) -> None:
        """Every seventh is routed; of what was there before, some are changed and one goes."""
        for index in self.indices:
            lines: list[dict] = []
            for n in range(start, start + DOCUMENTS):
                target = {"_id": f"doc-{n:05d}"} | ({"routing": f"r{n % 5}"} if n % 7 == 0 else {})
                lines += [{"index": target}, document(n)]
            for n in range(1, start, 9):
                lines += [
                    {"index": {"_id": f"doc-{n:05d}"} | ({"routing": f"r{n % 5}"} if n % 7 == 0 else {})},
                    document(n, "again"),
                ]
            self._bulk(index, lines)
            # A segment of its own for each night, so that tonight's snapshot uses blobs of last night's.
            self.production.ask("POST", f"/{index}/_flush?force=true")

    def _bulk(self, index: str, lines: list[dict]) -> None:
        # In the words of json.dumps, as whoever forges a copy will write them: the proof compares bytes.
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        with open_search(self.settings, "production", "tenants") as tenants:
            answer = tenants.request("POST", f"/{index}/_bulk?refresh=true", body)
            assert not answer["errors"], answer

    def take(self, name: str, indices: list[str], expressions: list[str] | None = None) -> Night:
        """As the flow's step does it."""
        before = capture.capture_definitions(self.source, self.pattern)
        since = open_moment(self.source, indices, on_opened=self.opened.extend)
        taken = take_snapshot(
            self.source, self.name, name, expressions or indices, since, {"by": self.name}, on_opened=self.opened.extend
        )
        return Night(taken, before, capture.capture_definitions(self.source, self.pattern), since)


def document(n: int, more: str = "") -> dict:
    """With a mark that no other has, and that no index of Lucene's holds: it stands in the stored document alone."""
    return {"name": f"n{n}", "text": f"considerations of document{n} {more}", "amount": 1.10 + n, "mark": mark_of(n)}


def mark_of(n: int) -> str:
    # Of an alphabet large enough that hardly four letters come twice, which compression would refer back to.
    return base64.b64encode(hashlib.sha256(b"%d" % n).digest(), altchars=b"-_").decode()[:24]


@contextmanager
def laid(place: Place, settings: Settings) -> Generator[Ground]:
    """The ground with both nights taken; on leaving, nothing of it is left in either cluster."""
    with reached(place, settings) as ground:
        _lay(ground)
        yield ground


@contextmanager
def reached(place: Place, settings: Settings) -> Generator[Ground]:
    """An empty repository of one's own on both clusters; on leaving, nothing is left of what is called after it."""
    name = f"faults-{uuid.uuid4().hex[:8]}"
    folder = configuration.repository(place) / name
    with ExitStack() as stack:
        ground = Ground(
            place,
            settings,
            stack.enter_context(open_search(settings, "production", "snapshot")),
            stack.enter_context(open_search(settings, "scratch", "restore")),
            Hand(api.connect(place, PRODUCTION, "es-1", HAND)),
            Hand(api.connect(place, SCRATCH, "scratch", HAND)),
            name,
            folder,
        )
        location = {"type": "fs", "settings": {"location": str(ground.live)}}
        try:
            ground.production.ask("PUT", f"/_snapshot/{name}", location)
            yield ground
        finally:
            _clear(ground)


def _lay(ground: Ground) -> None:
    ground.put_template(1)
    for letter, shards in ("a", 2), ("b", 1):
        settings = {**SETTINGS, "number_of_shards": shards}
        aliases = {f"{ground.name}-{letter}": {"is_write_index": True}}
        ground.production.ask(
            "PUT", f"/{ground.index(letter)}", {"settings": settings, "mappings": MAPPINGS, "aliases": aliases}
        )
    ground.write(0)
    ground.yesterday = ground.take("yesterday", ground.indices).taken.uuid
    blobs.keep(ground, "yesterday", ground.yesterday)
    shutil.copytree(ground.live, ground.folder / "yesterday")
    ground.put_template(2)
    # The metadata of each index changes with it, so that the two nights have one of their own.
    for letter in "ab":
        ground.production.ask("PUT", f"/{ground.index(letter)}/_alias/{ground.name}-{letter}-read")
    ground.write(DOCUMENTS)
    ground.night = ground.take("tonight", ground.indices)
    ground.register(ground.live, ground.name)
    ground.digests = _digests(ground)


def _digests(ground: Ground) -> dict[str, str]:
    """Of the undamaged copy, once it is VERIFIED."""
    night, prefix = ground.night, f"proof-{ground.name}-first-"
    restored = restore(ground.scratch, ground.name, night.taken.name, ground.indices, prefix)
    keep_open(ground.source, night.since)
    report = prove(ground.source, ground.scratch, night.since, restored, night.taken.moments)
    assert report.verdict == "VERIFIED", report.findings
    drop_restored(ground.scratch, restored.uuids)
    return {each.index: each.digest for each in report.indices}


def _clear(ground: Ground) -> None:
    close_points_in_time(ground.source, ground.opened)
    for name in list(ground.repositories):
        ground.unregister(name)
    copies = ground.there.ask("GET", f"/*{ground.name}*?expand_wildcards=all&filter_path=*.settings.index.uuid")
    for name in copies:
        ground.there.ask("DELETE", f"/{name}", ok=(404,))
    with suppress(api.Refused):
        ground.production.ask("DELETE", f"/{','.join(ground.production.ask('GET', f'/{ground.pattern}'))}")
    ground.production.ask("DELETE", f"/_index_template/{ground.name}", ok=(404,))
    ground.production.ask("DELETE", f"/_snapshot/{ground.name}", ok=(404,))
    shutil.rmtree(ground.folder, ignore_errors=True)
