"""A copy off site whose cluster, repository and record of nights are gone, and recoveries of it on the one-node cluster."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prefect import tags

import flows.restore_from_offsite
from steward.clients.elasticsearch import SearchClient, open_search
from steward.clients.offsite_bucket import OffsiteBucket, open_offsite_bucket
from steward.repository.copying import Lock, LockMode, blob_key, manifest_key, root_of
from steward.repository.manifest import Entry, Manifest
from steward.settings import Settings
from steward.snapshots.offsite_document import OffsiteDocument, OffsiteIndex
from steward.snapshots.offsite_restoring import content_digests
from tasks.approvals import Answer
from tests.integration.offsite_ground import content_of
from tests.integration.repository_ground import Ground, repository

#: Nobody deletes what a test has copied, and it would be in nobody's way: its cluster's name is its own.
LOCK = Lock(LockMode.GOVERNANCE, datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))
NIGHT = date(2026, 11, 26)
DOCUMENTS = {"a": 60, "b": 25}


@dataclass
class Copy:
    """A snapshot of two tenants' indices that lies off site, and nowhere else."""

    cluster: str
    ground: Ground
    bucket: OffsiteBucket
    document: OffsiteDocument
    api: SearchClient

    def index(self, letter: str) -> str:
        return self.ground.index(letter)

    def alias(self, letter: str) -> str:
        return f"{self.ground.name}-{letter}"

    def request(self, **more: Any) -> dict[str, Any]:
        told = {"cluster": self.cluster, "into": "scratch", "because": "a test", "snapshot": "", "tenants": []}
        return told | more

    def keep(self, document: OffsiteDocument) -> None:
        """Its document, as the last object of the copy."""
        body = document.body()
        key = manifest_key(_root(document), document.night, document.blobs.snapshot_uuid)
        self.bucket.put(key, iter([body]), content_of(body), LOCK)

    def another(self, snapshot_uuid: str, **changes: Any) -> OffsiteDocument:
        """The same copy under another UUID, with *changes*: of the night before, so that it is not the newest."""
        changes |= {"night": self.document.night - timedelta(days=1)}
        blobs = Manifest(**_fields(self.document.blobs) | {"snapshot_uuid": snapshot_uuid} | changes.pop("blobs", {}))
        return OffsiteDocument(**_fields(self.document) | changes | {"blobs": blobs})

    def there(self) -> list[str]:
        """The indices of these tenants that are on the cluster, under whatever name."""
        found = self.api.request(
            "GET", f"/*{self.ground.name}*/_settings/index.uuid?flat_settings=true&expand_wildcards=all"
        )
        return sorted(found)

    def count(self, index: str) -> int:
        self.ground.ask("POST", f"/{index}/_refresh")
        return self.api.request("GET", f"/{index}/_count")["count"]

    def write(self, index: str) -> None:
        """As a tenant does."""
        self.ground.ask("PUT", f"/{index}/_doc/new", {"name": "new"})

    def clear(self) -> None:
        """No index of theirs is there."""
        for name in self.there():
            self.ground.ask("PUT", f"/{name}/_settings", {"index.blocks.read_only": None})
            self.ground.ask("DELETE", f"/{name}")


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _root(document: OffsiteDocument) -> str:
    return root_of(document.cluster, document.blobs.repository)


@contextmanager
def copied(replica: Any, settings: Settings) -> Generator[Copy]:
    """A copy, with everything that it was made of gone."""
    with (
        repository(replica) as ground,
        open_search(settings, "scratch", "restore") as api,
        open_offsite_bucket(settings) as bucket,
    ):
        for letter, many in DOCUMENTS.items():
            for number in range(many):
                ground.ask("PUT", f"/{ground.index(letter)}/_doc/{number}", {"name": f"é{number}"})
            ground.ask("PUT", f"/{ground.index(letter)}/_alias/{ground.name}-{letter}", {"is_write_index": True})
            ground.ask("POST", f"/{ground.index(letter)}/_refresh")
        snapshot = f"nightly-{NIGHT}-1"
        uuid_ = ground.snapshot(snapshot)
        digests = content_digests(api, "", [ground.index(letter) for letter in DOCUMENTS])
        cluster = f"gone-{uuid.uuid4().hex[:8]}"
        document = _document(ground, cluster, snapshot, uuid_, digests)
        entries = tuple(_copy(ground, bucket, _root(document), path) for path in sorted(ground.on_disk()))
        blobs = Manifest(**_fields(document.blobs) | {"entries": entries})
        copy = Copy(cluster, ground, bucket, OffsiteDocument(**_fields(document) | {"blobs": blobs}), api)
        copy.document = _sized(copy.document)
        copy.keep(copy.document)
        copy.clear()
        # The primary repository is gone with its cluster: nothing may read it any more.
        shutil.rmtree(ground.folder)
        try:
            yield copy
        finally:
            copy.clear()
            for letter in DOCUMENTS:
                # The ground's own end looks for them.
                ground.make(letter, shards=1)


def _document(
    ground: Ground, cluster: str, snapshot: str, snapshot_uuid: str, digests: dict[str, str]
) -> OffsiteDocument:
    catalogue = ground.ask("GET", f"/_snapshot/{ground.name}/{snapshot}?index_details=true")["snapshots"][0]
    ids = _ids(ground)
    indices = tuple(
        OffsiteIndex(
            name=ground.index(letter),
            tenant=letter,
            aliases=(f"{ground.name}-{letter}",),
            folder=ids[ground.index(letter)],
            bytes=0,
            documents=many,
            digest=digests[ground.index(letter)],
        )
        for letter, many in DOCUMENTS.items()
    )
    blobs = Manifest(f"repository-{ground.name}", ground.generation(), snapshot, snapshot_uuid, ())
    return OffsiteDocument(
        cluster=cluster,
        repository=ground.name,
        cluster_uuid="gone",
        night=NIGHT,
        taken_at=datetime.fromtimestamp(catalogue["start_time_in_millis"] / 1000, UTC),
        elasticsearch="9.5.3",
        indices=indices,
        blobs=blobs,
    )


def _ids(ground: Ground) -> dict[str, str]:
    held = json.loads((ground.folder / f"index-{ground.generation()}").read_text())
    return {name: each["id"] for name, each in held["indices"].items()}


def _copy(ground: Ground, bucket: OffsiteBucket, root: str, path: str) -> Entry:
    body = (ground.folder / path).read_bytes()
    content = content_of(body)
    stored = bucket.put(blob_key(root, path), iter([body]), content, LOCK)
    return Entry(path, content.bytes, content.sha256, stored.version)


def _sized(document: OffsiteDocument) -> OffsiteDocument:
    sizes = {
        each.folder: sum(entry.bytes for entry in document.blobs.entries if entry.path.split("/")[1:2] == [each.folder])
        for each in document.indices
    }
    indices = tuple(OffsiteIndex(**_fields(each) | {"bytes": sizes[each.folder]}) for each in document.indices)
    return OffsiteDocument(**_fields(document) | {"indices": indices})


def recover(request: dict[str, Any], *, period: str = "", approved: bool = True) -> Any:
    """The flow, with a person who answers at once. A deployed run really waits: `make drill-recovery`."""
    asked: list[str] = []

    def answer(question: str, **_more: object) -> Answer:
        asked.append(question)
        return Answer(approved=approved, by="Ada", remark="as agreed")

    with pytest.MonkeyPatch.context() as patch, tags(*(f"period:{each}" for each in [period] if each)):
        patch.setattr(flows.restore_from_offsite, "approve", answer)
        return flows.restore_from_offsite.restore_from_offsite(request)


def staged(replica: Any) -> list[str]:
    """What lies in the staging folder."""
    return sorted(path.name for path in (replica.state / "staging").iterdir())
