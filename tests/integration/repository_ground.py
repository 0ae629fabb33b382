"""A small repository of Elasticsearch's own making: several shards, files in parts, files within the metadata."""

import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replica.elasticsearch import api, configuration
from replica.elasticsearch.api import Api
from replica.elasticsearch.clusters import HAND, SCRATCH
from replica.server import Place

_SECONDS = 60


@dataclass
class Ground:
    """A repository of one's own beside the nightly one, and two indices to take snapshots of."""

    hand: Api
    name: str
    folder: Path

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return self.hand.call(method, path, body, timeout_seconds=_SECONDS)

    def register(self, **settings: object) -> None:
        self.ask("PUT", f"/_snapshot/{self.name}", {"type": "fs", "settings": {"location": self.name, **settings}})

    def index(self, letter: str) -> str:
        return f"tenant-{self.name}-{letter}"

    def make(self, letter: str, shards: int) -> None:
        """The index, anew if there is one of its name. Merged segments of `b` have a file for each of their parts, as large ones do."""
        self.ask("DELETE", f"/{self.index(letter)}?ignore_unavailable=true")
        settings = {"number_of_shards": shards, "number_of_replicas": 0, "compound_format": letter != "b"}
        self.ask("PUT", f"/{self.index(letter)}", {"settings": {"index": settings}})

    def write(self, letter: str, *numbers: int, text: str = "é") -> None:
        for number in numbers:
            self.ask("PUT", f"/{self.index(letter)}/_doc/{number}", {"name": f"{text}{number}"})

    def merge(self, letter: str) -> None:
        """Whatever was written goes into one segment."""
        self.ask("POST", f"/{self.index(letter)}/_forcemerge?max_num_segments=1")

    def snapshot(self, name: str) -> str:
        """Take one of both indices: its UUID."""
        body = {"indices": self.index("*"), "include_global_state": True}
        taken = self.ask("PUT", f"/_snapshot/{self.name}/{name}?wait_for_completion=true", body)["snapshot"]
        assert taken["state"] == "SUCCESS"
        return taken["uuid"]

    def delete(self, name: str) -> None:
        self.ask("DELETE", f"/_snapshot/{self.name}/{name}")

    def generation(self) -> int:
        """What the cluster itself says."""
        answer = self.ask("GET", "/_cluster/state/metadata?filter_path=metadata.repositories")
        return answer["metadata"]["repositories"][self.name]["generation"]

    def on_disk(self) -> dict[str, int]:
        """Path → bytes of all that lies in the folder."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.stat().st_size for path in files}


@contextmanager
def repository(place: Place, chunk_size: str = "2000b") -> Generator[Ground]:
    """A repository on the one-node cluster; on leaving nothing of it is left there."""
    name = f"format-{uuid.uuid4().hex[:8]}"
    ground = Ground(api.connect(place, SCRATCH, "scratch", HAND), name, configuration.repository(place) / name)
    ground.register(chunk_size=chunk_size)
    try:
        ground.make("a", shards=2)
        ground.make("b", shards=1)
        yield ground
    finally:
        for letter in "ab":
            ground.ask("DELETE", f"/{ground.index(letter)}?ignore_unavailable=true")
        ground.ask("DELETE", f"/_snapshot/{name}")
        shutil.rmtree(ground.folder, ignore_errors=True)
