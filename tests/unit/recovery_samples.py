"""Copies off site, and recoveries of them, as plain values."""

from datetime import UTC, date, datetime, timedelta

from steward.repository.manifest import Entry, Manifest
from steward.snapshots.offsite_document import OffsiteDocument, OffsiteIndex
from steward.snapshots.recovery import RecoveredIndices
from steward.snapshots.recovery_choice import Chosen, ListedCopy
from steward.snapshots.recovery_plan import made_plan
from steward.snapshots.recovery_report import Begun, Compared, FetchedBlobs, Opened, RecoveryFacts
from steward.snapshots.recovery_request import RecoveryRequest
from steward.verdicts import Verdict

AT = datetime(2026, 11, 27, 8, tzinfo=UTC)
DIGESTS = {"acme": "steward-content-v1:10:" + "a" * 64, "bolt": "steward-content-v1:20:" + "b" * 64}


def index(tenant, **more):
    name = f"tenant-{tenant}-000001"
    told = {"aliases": (f"tenant-{tenant}",), "folder": f"{tenant}-folder", "bytes": 1000, "documents": 10}
    return OffsiteIndex(name=name, tenant=tenant, **(told | {"digest": DIGESTS.get(tenant)} | more))


def document(night=date(2026, 11, 26), indices=None, snapshot=None, **more):
    name = snapshot or f"nightly-{night}-7"
    told = {
        "cluster": "production",
        "repository": "nightly",
        "cluster_uuid": "cluster-uuid",
        "night": night,
        "taken_at": datetime(night.year, night.month, night.day, 1, 30, tzinfo=UTC),
        "elasticsearch": "9.5.3",
        "indices": (index("acme"), index("bolt")) if indices is None else tuple(indices),
        "blobs": Manifest("repository-uuid", 3, name, f"uuid-of-{name}", (Entry("index-3", 1, "0" * 64, "v1"),)),
    }
    return OffsiteDocument(**(told | more))


def listed(held):
    uuid = held.blobs.snapshot_uuid
    root = f"{held.cluster}/{held.blobs.repository}"
    return ListedCopy(held.night, uuid, root, f"{root}/manifests/{held.night}-{uuid}.jsonl.gz", "version-1")


def request(**more):
    return RecoveryRequest(**({"because": "the cluster is gone"} | more))


def plan(asked=None, held=None, **more):
    asked, held = asked or request(), held or document()
    chosen = Chosen(listed(held), held, Verdict.VERIFIED)
    times = {"began_at": AT, "ended_at": AT + timedelta(seconds=2)}
    return made_plan(asked, chosen, 41, **({"nodes": 3, "leftovers": {}} | times | more))


def compared(made, digests=None, **aliases):
    """What *made* plans, as its night found it, or as told."""
    found = {each.name: each.digest for each in made.indices if each.digest} if digests is None else digests
    brought = {each.name: list(each.aliases) for each in made.indices}
    return Compared(digests=found, aliases=brought | aliases.get("aliases", {}), seconds=5)


def facts(made, **more):
    """A recovery of all that *made* plans, without a fault."""
    targets = [each.target for each in made.indices]
    told = {
        "begun": Begun(at=AT + timedelta(seconds=100), by="Ada"),
        "fetched": FetchedBlobs(blobs=9, bytes=made.bytes, seconds=3),
        "restored": RecoveredIndices(uuids={name: f"uuid-{name}" for name in targets}, seconds=4, bytes=3000),
        "compared": compared(made),
        "opened": Opened(names=targets, at=AT + timedelta(seconds=115)),
    }
    return RecoveryFacts(**(told | more))
